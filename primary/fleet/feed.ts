/**
 * Pushes signed batches to the nodes that listen: one stream per node, entries it may not see as leaf hashes. A node that reads
 * slowly gets checkpoints without entries and fetches the log itself, so no stream holds more than a bounded queue.
 */
import { encodeFrame } from '../../protocol/wire/feed.js'
import type { SignedBatch, Signer } from '../log/signer.js'
import type { Asking } from './asking.js'
import type { Holdings } from './holdings.js'

const MAX_QUEUED_BYTES = 4 * 1024 * 1024
const HEARTBEAT_MS = 5_000

export type Sees = (scope: string) => boolean

/** Bytes of an endless stream of frames; it starts with the newest checkpoint and ends with the signal. */
export async function* feed(
  { signer, asking, holdings }: { signer: Signer; asking: Pick<Asking, 'listen'>; holdings: Pick<Holdings, 'listen'> },
  sees: Sees,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const queue = new Queue()
  const stop = signer.onBatch((batch) => queue.add(batch, sees))
  const asksNoMore = asking.listen((wanted) => {
    const may = sees(wanted.scope)
    if (may) queue.push(encodeFrame({ type: 'notice', notice: { wanted } }))
    return may
  })
  const tellsNoMore = holdings.listen((asked) =>
    queue.push(encodeFrame({ type: 'notice', notice: { holdings: asked } })),
  )
  const beat = setInterval(() => queue.push(encodeFrame({ type: 'notice', notice: { heartbeat: true } })), HEARTBEAT_MS)
  const wake = () => queue.wake()
  signal.addEventListener('abort', wake)
  try {
    queue.push(encodeBatch({ items: [], note: signer.latest.note, beginnings: signer.beginnings }, sees))
    while (!signal.aborted) {
      const chunks = queue.take()
      if (chunks) yield* chunks
      else await queue.filled()
    }
  } finally {
    stop()
    asksNoMore()
    tellsNoMore()
    clearInterval(beat)
    signal.removeEventListener('abort', wake)
  }
}

/** A batch as one node may see it. */
export function encodeBatch(
  batch: Pick<SignedBatch, 'items' | 'note'> & { beginnings?: readonly string[] },
  sees: Sees,
): Buffer {
  const begun = (batch.beginnings ?? []).map((note) => encodeFrame({ type: 'beginning', note }))
  const frames = batch.items.map(({ scope, item, leaf }) =>
    encodeFrame({ type: 'item', item: sees(scope) ? item : { number: item.number, leaf } }),
  )
  return Buffer.concat([...begun, ...frames, encodeFrame({ type: 'checkpoint', note: batch.note })])
}

class Queue {
  #chunks: Uint8Array[] = []
  #bytes = 0
  #waiting: (() => void) | undefined

  add(batch: SignedBatch, sees: Sees): void {
    const checkpoint = encodeFrame({ type: 'checkpoint', note: batch.note })
    if (this.#bytes < MAX_QUEUED_BYTES) {
      this.push(encodeBatch(batch, sees))
      return
    }
    // The reader is slow: what it gets next is where the log stands, and it will ask for what is between.
    this.#chunks = [checkpoint]
    this.#bytes = checkpoint.length
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.wake()
  }

  take(): Uint8Array[] | undefined {
    if (this.#chunks.length === 0) return undefined
    const taken = this.#chunks
    this.#chunks = []
    this.#bytes = 0
    return taken
  }

  filled(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }

  wake(): void {
    this.#waiting?.()
    this.#waiting = undefined
  }
}
