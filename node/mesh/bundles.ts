/**
 * Small blobs, several in one exchange: what is asked of a peer while exchanges with it are under way goes together in the next.
 * One that is alone goes at once.
 */
import { RegistryError } from '../../protocol/errors.js'
import { type Bundled, MAX_BUNDLE_BLOBS, MAX_BUNDLE_BYTES, type SwarmAsk } from '../../protocol/wire/swarm.js'
import { abortable } from './abortable.js'
import { withResolvers } from './with-resolvers.js'

/** Blobs as the peer sends them; `place` counts in `asks`, which all have one scope. `bytes`: of all. */
export type SendBundle = (
  peer: string,
  asks: readonly SwarmAsk[],
  bytes: number,
  signal: AbortSignal,
) => AsyncIterable<Bundled>

interface Wanted {
  ask: SwarmAsk
  bytes: number
  signal: AbortSignal
  arrived: ReturnType<typeof withResolvers<Uint8Array>>
}

interface Line {
  running: number
  waiting: Wanted[]
}

const AT_ONCE = 2

export class Bundles {
  readonly #send: SendBundle
  readonly #lines = new Map<string, Line>()

  constructor(send: SendBundle) {
    this.#send = send
  }

  /** Unverified. Throws `missing` when the peer does not have it. */
  get(peer: string, ask: SwarmAsk, bytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const key = `${peer} ${ask.fetch} ${ask.scope}`
    const line = this.#lines.get(key) ?? { running: 0, waiting: [] }
    this.#lines.set(key, line)
    const arrived = withResolvers<Uint8Array>()
    line.waiting.push({ ask, bytes, signal, arrived })
    this.#next(peer, key, line)
    return abortable(arrived.promise, signal)
  }

  #next(peer: string, key: string, line: Line): void {
    line.waiting = line.waiting.filter(({ signal }) => !signal.aborted)
    if (line.waiting.length > 0 && line.running < AT_ONCE) {
      line.running++
      void this.#exchange(peer, taken(line.waiting)).then(() => {
        line.running--
        this.#next(peer, key, line)
      })
    } else if (line.running === 0 && line.waiting.length === 0) this.#lines.delete(key)
  }

  /** Never rejects: each that is wanted has an end of its own. */
  async #exchange(peer: string, wanted: readonly Wanted[]): Promise<void> {
    const stop = new AbortController()
    const check = (): void => {
      if (wanted.every(({ signal }) => signal.aborted)) stop.abort(wanted[0]?.signal.reason)
    }
    for (const { signal, arrived } of wanted) {
      signal.addEventListener('abort', check, { once: true })
      arrived.promise.catch(() => undefined)
    }
    let failure: unknown = new RegistryError('missing', 'The peer does not have the blob')
    try {
      const bytes = wanted.reduce((sum, each) => sum + each.bytes, 0)
      const asks = wanted.map(({ ask }) => ask)
      for await (const blob of this.#send(peer, asks, bytes, stop.signal))
        wanted[blob.place]?.arrived.resolve(blob.bytes)
    } catch (error) {
      failure = error
    }
    for (const { signal, arrived } of wanted) {
      signal.removeEventListener('abort', check)
      arrived.reject(failure)
    }
  }
}

/** As many from the front as one exchange holds. */
function taken(waiting: Wanted[]): Wanted[] {
  let [count, bytes] = [0, 0]
  for (const each of waiting) {
    bytes += each.bytes
    if (count > 0 && (count === MAX_BUNDLE_BLOBS || bytes > MAX_BUNDLE_BYTES)) break
    count++
  }
  return waiting.splice(0, count)
}
