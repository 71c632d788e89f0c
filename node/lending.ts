/** Gives the primary pieces that its disk lost and that are in the cache here. */

import type { DiskBlobs } from '../protocol/blobs/disk.js'
import { deadline } from '../protocol/deadline.js'
import type { Digest, Stored } from '../protocol/records.js'
import { encodePieceAnswer } from '../protocol/wire/swarm.js'
import { type Wanted, wantedIn } from '../protocol/wire/wanted.js'
import type { Link } from './link/link.js'
import { Slots } from './mesh/slots.js'

export interface LendingOptions {
  link: Pick<Link, 'request'>
  cache: { readonly disk: Pick<DiskBlobs, 'piece'>; has(digest: Digest): boolean }
  /** As this node records it. */
  held: (scope: string, digest: Digest) => Promise<Stored | undefined>
  onError: (error: unknown) => void
}

const [AT_ONCE, WAITING] = [4, 256]
const DEADLINE_MS = 10_000

export class Lending {
  readonly #options: LendingOptions
  readonly #slots = new Slots(AT_ONCE, WAITING)

  constructor(options: LendingOptions) {
    this.#options = options
  }

  /** A notice of the feed. */
  hear(notice: Record<string, unknown>): void {
    const wanted = wantedIn(notice)
    if (wanted && this.#options.cache.has(wanted.digest)) this.#lend(wanted).catch(this.#options.onError)
  }

  async #lend({ scope, digest, first, count }: Wanted): Promise<void> {
    const { link, cache, held } = this.#options
    const signal = deadline(DEADLINE_MS)
    await this.#slots.enter(signal)
    try {
      const stored = await held(scope, digest)
      if (!stored) return
      const piece = await cache.disk.piece(stored, first, count, scope, signal)
      const path = `/fleet/v1/pieces/${digest}?scope=${encodeURIComponent(scope)}`
      const reply = await link.request('PUT', path, { body: parts(encodePieceAnswer({ first, ...piece })), signal })
      // 404: another node was faster.
      await reply.body.dump()
    } finally {
      this.#slots.leave()
    }
  }
}

async function* parts(all: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* all
}
