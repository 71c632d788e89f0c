/** How fast bytes of blobs may go to and come from peers and the primary: of the whole node, and of each link by itself. */
import type { Bandwidth } from '../../protocol/settings.js'
import { Rate } from './rate.js'

export interface LimitsOptions {
  /** undefined: none. */
  upload?: Bandwidth | undefined
  download?: Bandwidth | undefined
  /** Each way. */
  link?: Bandwidth | undefined
}

interface Link {
  upload: Rate
  download: Rate
}

export class Limits {
  readonly #options: LimitsOptions
  readonly #now: () => number
  readonly #upload: Rate | undefined
  readonly #download: Rate | undefined
  readonly #links = new Map<string, Link>()

  constructor(options: LimitsOptions, now: () => number) {
    this.#options = options
    this.#now = now
    this.#upload = options.upload && new Rate(options.upload, now)
    this.#download = options.download && new Rate(options.download, now)
  }

  async upload(peer: string, bytes: number, signal: AbortSignal): Promise<void> {
    await this.#upload?.take(bytes, signal)
    await this.#link(peer)?.upload.take(bytes, signal)
  }

  /** `waiting`: called now and then while it takes. */
  async download(peer: string, bytes: number, signal: AbortSignal, waiting?: () => void): Promise<void> {
    await this.#download?.take(bytes, signal, waiting)
    await this.#link(peer)?.download.take(bytes, signal, waiting)
  }

  /** The peer is gone. */
  forget(peer: string): void {
    this.#links.delete(peer)
  }

  #link(peer: string): Link | undefined {
    const { link } = this.#options
    if (!link) return undefined
    const known = this.#links.get(peer) ?? { upload: new Rate(link, this.#now), download: new Rate(link, this.#now) }
    this.#links.set(peer, known)
    return known
  }
}
