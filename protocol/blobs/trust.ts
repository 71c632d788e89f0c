/**
 * Which blobs this process has verified from their first byte to their last, and in which state of their file. As long as inode,
 * size and times are unchanged and the check is young, their bytes are read without being hashed again.
 */
import type { Stats } from 'node:fs'
import { LRUCache } from 'lru-cache'

/** What is compared of a file. */
export type FileState = Pick<Stats, 'dev' | 'ino' | 'size' | 'mtimeMs' | 'ctimeMs'>

/** File times move in steps of up to 10 ms: a file changed just before its check could change again without it being seen. */
const SETTLED_MS = 50
const ENTRIES = 100_000

export class Trust {
  readonly #checks = new LRUCache<string, { state: FileState; atMs: number }>({ max: ENTRIES })
  readonly #reverifyMs: number
  readonly #now: () => number

  constructor(options: { reverifyMs: number; now: () => number }) {
    this.#reverifyMs = options.reverifyMs
    this.#now = options.now
  }

  /** Remember when the check began and what the file looked like then. */
  begin(file: FileState): { state: FileState; atMs: number } {
    const { dev, ino, size, mtimeMs, ctimeMs } = file
    return { state: { dev, ino, size, mtimeMs, ctimeMs }, atMs: this.#now() }
  }

  /** Every byte was right, and the file is the same at the end as at the beginning. */
  add(root: string, check: { state: FileState; atMs: number }, file: FileState): void {
    if (same(check.state, file) && check.state.ctimeMs < check.atMs - SETTLED_MS) this.#checks.set(root, check)
  }

  /** What is read next is hashed again. */
  forget(root: string): void {
    this.#checks.delete(root)
  }

  /** Keyed by the tree's root, so that it holds for the bytes that the asker's record means. */
  has(root: string, file: FileState): boolean {
    const check = this.#checks.get(root)
    return check !== undefined && same(check.state, file) && this.#now() - check.atMs < this.#reverifyMs
  }
}

function same(a: FileState, b: FileState): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs
}
