/** The primary, as a host that sends ranges of the blob and its leaf hashes. Counts what leaves it. */
import type { PrimaryBytes } from '../../node/mesh/primary-bytes.js'
import { Pulse } from '../../node/mesh/pulse.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'
import type { Blob } from './blob.js'
import { Flow, type Host, type Network } from './network.js'

const CHUNK_BYTES = 65_536
const REQUEST_BYTES = 400
/** A connection on which nothing comes is given up, and the primary is then known to be away. */
const SILENT_MS = 10_000

export class Origin {
  readonly host: Host
  /** Bytes of the blob that were sent. */
  sent = 0
  readonly #network: Network
  readonly #blob: Blob

  constructor(network: Network, host: Host, blob: Blob) {
    this.#network = network
    this.host = host
    this.#blob = blob
  }

  /** As one node sees it. */
  seenFrom(node: Host): PrimaryBytes {
    const reaches = (): boolean => this.#network.reaches(this.host, node)
    return {
      get reachable() {
        return reaches()
      },
      read: (_stored, _scope, start, end, signal) => this.#read(node, start, end, signal),
      leaves: (stored) => this.#leaves(node, stored),
    }
  }

  async *#read(node: Host, start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { timeline } = this.#network
    const flow = new Flow(this.host, node)
    const arrived: Uint8Array[] = []
    const pulse = new Pulse()
    let late = false
    let cancel = timeline.after(SILENT_MS, () => undefined)
    const watch = (): void => {
      cancel()
      cancel = timeline.after(SILENT_MS, () => {
        late = true
        pulse.beat()
      })
    }
    this.#network.message(node, this.host, REQUEST_BYTES, () => void this.#pour(flow, start, end, arrived, pulse))
    watch()
    try {
      for (let at = start; at < end; ) {
        const chunk = arrived.shift()
        if (chunk) {
          watch()
          yield chunk
          at += chunk.length
          continue
        }
        signal?.throwIfAborted()
        if (late) throw new RegistryError('unavailable', 'The primary fell silent')
        await pulse.next(signal ? { signal } : {})
      }
    } finally {
      cancel()
      this.#network.close(flow)
    }
  }

  async #pour(flow: Flow, start: number, end: number, arrived: Uint8Array[], pulse: Pulse): Promise<void> {
    for (let at = start; at < end && !flow.closed; at += CHUNK_BYTES) {
      const chunk = this.#blob.bytes.subarray(at, Math.min(at + CHUNK_BYTES, end))
      await this.#network.send(flow, chunk.length, () => {
        this.sent += chunk.length
        arrived.push(chunk)
        pulse.beat()
      })
    }
  }

  #leaves(node: Host, stored: Stored): Promise<Uint8Array> {
    const { leaves } = this.#blob.tree
    return new Promise((resolve, reject) => {
      const cancel = this.#network.timeline.after(SILENT_MS, () =>
        reject(new RegistryError('unavailable', `The primary does not send the leaves of ${stored.digest}`)),
      )
      const answer = (): void => {
        cancel()
        resolve(leaves)
      }
      this.#network.message(node, this.host, REQUEST_BYTES, () =>
        this.#network.message(this.host, node, leaves.length, answer),
      )
    })
  }
}
