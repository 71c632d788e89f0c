/** Tells the primary what is in the cache here, when it asks for a report. */

import { once } from '../protocol/chunks.js'
import { deadline } from '../protocol/deadline.js'
import type { Digest } from '../protocol/records.js'
import { encodeHoldings, type HoldingsAsked, holdingsIn } from '../protocol/wire/holdings.js'
import type { Link } from './link/link.js'

export interface HoldingsOptions {
  link: Pick<Link, 'request'>
  cache: { digests(): Iterable<Digest> }
  site: string | undefined
  onError: (error: unknown) => void
}

const DEADLINE_MS = 10_000

export class Holdings {
  readonly #options: HoldingsOptions
  #answering = false

  constructor(options: HoldingsOptions) {
    this.#options = options
  }

  /** A notice of the feed. */
  hear(notice: Record<string, unknown>): void {
    const asked = holdingsIn(notice)
    if (!asked || this.#answering) return
    this.#answering = true
    this.#tell(asked)
      .catch(this.#options.onError)
      .finally(() => {
        this.#answering = false
      })
  }

  async #tell({ id, bits }: HoldingsAsked): Promise<void> {
    const { link, cache, site } = this.#options
    const query = site === undefined ? '' : `?site=${encodeURIComponent(site)}`
    const reply = await link.request('PUT', `/fleet/v1/holdings/${id}${query}`, {
      body: once(encodeHoldings(cache.digests(), bits)),
      signal: deadline(DEADLINE_MS),
    })
    // 404: it came too late.
    await reply.body.dump()
  }
}
