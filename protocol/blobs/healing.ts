/**
 * Damaged bytes are asked for elsewhere, checked, given to whoever waits for them and written back. Without a way to repair,
 * damage is `corrupt`.
 */
import { deadline } from '../deadline.js'
import { hashAt, LEAF_BYTES, leafHash, type Tree } from '../merkle.js'
import type { Digest, Stored } from '../records.js'
import type { Buffers } from './buffers.js'
import { closeFile, openFile, truncateFile, writeFully } from './descriptor.js'
import type { Shelf } from './shelf.js'
import { corrupt } from './trees.js'
import { receive } from './writing.js'

/** Bytes [start, end) of a blob from somewhere else; they need not be right. undefined: nobody has them. */
export type Repair = (
  stored: Stored,
  scope: string,
  start: number,
  end: number,
  signal: AbortSignal,
) => Promise<Uint8Array | undefined>

/** For the log and the metrics. */
export interface Damage {
  digest: Digest
  /** Which leaf; undefined: the blob as a whole. */
  leaf: number | undefined
  /** Right bytes were found. */
  healed: boolean
  /** Why they could not be found, or not be written back. */
  cause?: unknown
}

export interface HealingOptions {
  repair?: Repair
  repairTimeoutMs: number
  onDamage: (damage: Damage) => void
}

export class Healing {
  readonly #shelf: Shelf
  readonly #buffers: Buffers
  readonly #options: HealingOptions

  constructor(shelf: Shelf, buffers: Buffers, options: HealingOptions) {
    this.#shelf = shelf
    this.#buffers = buffers
    this.#options = options
  }

  get possible(): boolean {
    return this.#options.repair !== undefined
  }

  /** The right bytes of one leaf. Throws `corrupt` when they cannot be had. */
  async leaf(stored: Stored, scope: string, tree: Tree, leaf: number, signal?: AbortSignal): Promise<Uint8Array> {
    const start = leaf * LEAF_BYTES
    const end = Math.min(start + LEAF_BYTES, stored.size)
    try {
      const bytes = await this.#ask(stored, scope, start, end, signal)
      if (!bytes || Buffer.compare(leafHash(bytes), hashAt(tree.leaves, leaf)) !== 0) throw corrupt(stored)
      const cause = await this.#writeBack(stored, start, bytes)
      this.#options.onDamage({ digest: stored.digest, leaf, healed: true, ...cause })
      return bytes
    } catch (cause) {
      this.#options.onDamage({ digest: stored.digest, leaf, healed: false, cause })
      throw corrupt(stored)
    }
  }

  /** Fetches the blob anew, for when it is not known which bytes are wrong. */
  async whole(stored: Stored, scope: string, signal?: AbortSignal): Promise<void> {
    try {
      await receive(this.#shelf, this.#buffers, this.#stream(stored, scope, signal), {
        limit: stored.size,
        expected: stored,
      })
      this.#options.onDamage({ digest: stored.digest, leaf: undefined, healed: true })
    } catch (cause) {
      this.#options.onDamage({ digest: stored.digest, leaf: undefined, healed: false, cause })
      throw corrupt(stored)
    }
  }

  /** Gives a file of the wrong length the right one; the bytes that it lacks are then found to be wrong and healed. */
  async resize(stored: Stored): Promise<void> {
    const descriptor = await openFile(this.#shelf.layout.blob(stored.digest), 'write')
    if (descriptor === undefined) return
    try {
      await truncateFile(descriptor, stored.size)
    } finally {
      await closeFile(descriptor)
    }
  }

  async #ask(stored: Stored, scope: string, start: number, end: number, signal?: AbortSignal) {
    const either = deadline(this.#options.repairTimeoutMs, ...(signal ? [signal] : []))
    return this.#options.repair?.(stored, scope, start, end, either)
  }

  async *#stream(stored: Stored, scope: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    for (let start = 0; start < stored.size; start += ASK_BYTES) {
      const bytes = await this.#ask(stored, scope, start, Math.min(start + ASK_BYTES, stored.size), signal)
      if (!bytes) throw corrupt(stored)
      yield bytes
    }
  }

  /** The reader has its bytes either way: a disk that takes none is reported with the damage. */
  async #writeBack(stored: Stored, start: number, bytes: Uint8Array): Promise<{ cause?: unknown }> {
    try {
      const descriptor = await openFile(this.#shelf.layout.blob(stored.digest), 'write')
      if (descriptor === undefined) return {}
      try {
        await writeFully(descriptor, bytes, start)
        await this.#shelf.syncBytes(descriptor)
      } finally {
        await closeFile(descriptor)
      }
      return {}
    } catch (cause) {
      return { cause }
    }
  }
}

const ASK_BYTES = 1024 * 1024
