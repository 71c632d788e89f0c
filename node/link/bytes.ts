/** Bytes straight from the primary, for the mesh: ranges of a blob, and the leaf hashes that pieces are checked against. Unverified. */
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'
import type { Link, LinkReply } from './link.js'

export class LinkBytes {
  readonly #link: Link
  #received = 0

  constructor(link: Link) {
    this.#link = link
  }

  get reachable(): boolean {
    return this.#link.reachable
  }

  /** Bytes of blobs since the start. */
  get received(): number {
    return this.#received
  }

  async *read(
    stored: Stored,
    scope: string,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    if (start >= end) return
    const whole = start === 0 && end === stored.size
    const reply = await this.#get('blobs', stored, scope, whole ? {} : { range: `bytes=${start}-${end - 1}` }, signal)
    for await (const chunk of reply.body) {
      this.#received += chunk.length
      yield chunk
    }
  }

  async leaves(stored: Stored, scope: string, signal?: AbortSignal): Promise<Uint8Array> {
    const expected = Math.max(1, Math.ceil(stored.size / 65536)) * 32
    const reply = await this.#get('leaves', stored, scope, {}, signal)
    const wrong = () =>
      new RegistryError('upstream', `The primary sent the wrong number of leaf hashes for ${stored.digest}`)
    const leaves = await collect(reply.body, expected, wrong)
    if (leaves.length !== expected) throw wrong()
    return leaves
  }

  async #get(
    what: 'blobs' | 'leaves',
    stored: Stored,
    scope: string,
    headers: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<LinkReply> {
    const path = `/fleet/v1/${what}/${stored.digest}?scope=${encodeURIComponent(scope)}`
    const reply = await this.#link.request('GET', path, { headers, ...(signal ? { signal } : {}) })
    if (reply.status === 200 || reply.status === 206) return reply
    await reply.body.dump()
    throw new RegistryError(
      reply.status === 404 ? 'missing' : 'unavailable',
      `The primary answered ${reply.status} for the blob ${stored.digest}`,
    )
  }
}
