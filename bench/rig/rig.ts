/** Owns what a bench starts, in order; `close` ends it in the opposite order and waits. Nothing outlives it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class Rig {
  readonly #closers: (() => Promise<void>)[] = []

  onClose(close: () => Promise<void>): void {
    this.#closers.push(close)
  }

  /** A directory on the disk that TMPDIR names, removed at the end. */
  async directory(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'cairn-bench-'))
    this.onClose(() => rm(path, { recursive: true, force: true, maxRetries: 5 }))
    return path
  }

  async close(): Promise<void> {
    const errors: unknown[] = []
    for (const close of this.#closers.splice(0).reverse()) await close().catch((error: unknown) => errors.push(error))
    if (errors.length > 0) throw new AggregateError(errors, 'something could not be ended')
  }
}
