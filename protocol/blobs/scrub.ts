/**
 * Reads everything on a disk again, at a bounded rate, so that rot is found, and healed by whoever has the bytes right, before
 * somebody needs them. What is damaged is told by the store itself (`onDamage`).
 */
import { setTimeout } from 'node:timers/promises'
import { RegistryError } from '../errors.js'
import { Periodic } from '../periodic.js'
import type { Metadata } from '../ports.js'
import type { Digest, Stored } from '../records.js'
import type { DiskBlobs } from './disk.js'

/** Shorter pauses are not worth a timer. */
const PAUSE_MS = 10
const FIRST_MS = 600_000
const EVERY_MS = 86_400_000

export interface ScrubOptions {
  disk: Pick<DiskBlobs, 'list' | 'check'>
  metadata: Pick<Metadata, 'file'>
  /** Where a digest is recorded; what is nowhere is left out, since nobody knows what is right. */
  holders: (digest: Digest) => Promise<{ scope: string; path: string }[]>
  bytesPerSecond: number
  /** Told of progress. */
  onBytes?: (bytes: number) => void
  signal: AbortSignal
}

export interface Scrubbed {
  blobs: number
  bytes: number
  /** Blobs that could not be healed. */
  damaged: number
}

export async function scrub(options: ScrubOptions): Promise<Scrubbed> {
  const { disk, bytesPerSecond, onBytes, signal } = options
  const done = { blobs: 0, bytes: 0, damaged: 0 }
  const begunMs = performance.now()
  const read = async (bytes: number): Promise<void> => {
    done.bytes += bytes
    onBytes?.(bytes)
    const aheadMs = (done.bytes / bytesPerSecond) * 1000 - (performance.now() - begunMs)
    if (aheadMs > PAUSE_MS) await setTimeout(aheadMs, undefined, { signal })
  }
  for await (const { digest } of disk.list()) {
    const found = await recorded(options, digest)
    if (!found) continue
    signal.throwIfAborted()
    done.blobs++
    try {
      for await (const chunk of disk.check(found.stored, found.scope, signal)) await read(chunk.length)
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      // Since it was listed, it may have been collected or evicted.
      if (error.kind === 'corrupt') done.damaged++
    }
  }
  return done
}

export interface ScrubberOptions extends Omit<ScrubOptions, 'signal' | 'onBytes'> {
  onDone: (done: Scrubbed) => void
  onError: (error: unknown) => void
}

async function recorded(
  { metadata, holders }: ScrubOptions,
  digest: Digest,
): Promise<{ stored: Stored; scope: string } | undefined> {
  for (const { scope, path } of await holders(digest)) {
    const stored = await metadata.file(scope, path)
    if (stored?.digest === digest) return { stored, scope }
  }
  return undefined
}

/** Once a day, until it is closed. */
export class Scrubber {
  readonly #stop = new AbortController()
  readonly #periodic: Periodic
  #bytes = 0

  constructor({ onDone, onError, ...options }: ScrubberOptions) {
    const { signal } = this.#stop
    const onBytes = (bytes: number) => {
      this.#bytes += bytes
    }
    this.#periodic = new Periodic(
      async () => onDone(await scrub({ ...options, onBytes, signal })),
      EVERY_MS,
      (error) => signal.aborted || onError(error),
    )
  }

  /** Bytes that were read again since the start. */
  get bytes(): number {
    return this.#bytes
  }

  start(): void {
    this.#periodic.start(FIRST_MS)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#periodic.close()
  }
}
