/**
 * The primary as the origin of a node's remote repositories. It asks the upstream, records what it finds, and the node waits until
 * its own replica has that record; a file is given on to this node's clients while it is still arriving at the primary.
 */
import { RegistryError } from '../../protocol/errors.js'
import { Arrival } from '../../protocol/kinds/arrival.js'
import type { Bytes, Origin, OriginCheck, Wanted } from '../../protocol/ports.js'
import type { Digest, FileRecord, Position, RepositoryRecord } from '../../protocol/records.js'
import type { Freshness } from '../../protocol/repository.js'
import { type Link, type LinkReply, limited, refusal } from './link.js'

export interface LinkOriginParts {
  link: Pick<Link, 'request'>
  reached: (position: Position, timeoutMs: number) => Promise<boolean>
  /** The record of a path, once this node has it; undefined when it does not come in time. */
  recorded: (scope: string, path: string, timeoutMs: number) => Promise<FileRecord | undefined>
  open: (file: FileRecord, scope: string) => Promise<Bytes>
  /** Reads a body to its end, keeps it where it can be kept, and tells its digest. */
  take: (body: AsyncIterable<Uint8Array>, size: number | undefined) => Promise<Digest>
}

const RECORD_MS = 10_000
const MAX_ANSWER = 64 * 1024

export class LinkOrigin implements Origin {
  readonly #parts: LinkOriginParts

  constructor(parts: LinkOriginParts) {
    this.#parts = parts
  }

  async check({ scope }: RepositoryRecord, name: string, reference?: string): Promise<OriginCheck> {
    const asked = { scope, package: name, ...(reference === undefined ? {} : { reference }) }
    const reply = await this.#get(`listing?${new URLSearchParams(asked)}`)
    const answer: unknown = JSON.parse(await limited(reply.body, MAX_ANSWER))
    const { known, stale, age, epoch, number } = (
      typeof answer === 'object' && answer !== null ? answer : {}
    ) as Record<string, unknown>
    if (typeof epoch === 'number' && typeof number === 'number') await this.#reached({ epoch, number })
    return { known: known === true, stale: stale === true, ...(typeof age === 'number' ? { ageSeconds: age } : {}) }
  }

  async fetch({ scope }: RepositoryRecord, { path, held }: Wanted): Promise<Arrival | Freshness | undefined> {
    const reply = await this.#get(`arriving?scope=${encodeURIComponent(scope)}&path=${encodeURIComponent(path)}`)
    if (reply.status === 404) {
      await reply.body.dump()
      return undefined
    }
    if (reply.status === 204) {
      await reply.body.dump()
      if (!held) await this.#recorded(scope, path)
      const age = Number(reply.headers.age ?? Number.NaN)
      return { stale: reply.headers.warning !== undefined, ...(Number.isSafeInteger(age) ? { ageSeconds: age } : {}) }
    }
    const length = Number(reply.headers['content-length'])
    const size = Number.isSafeInteger(length) ? length : undefined
    return new Arrival({
      size,
      body: reply.body,
      take: (body) => this.#take(scope, path, body, size),
      open: (file) => this.#parts.open(file, scope),
    })
  }

  /** The primary has committed the record before it sent the end of the bytes. */
  async #take(
    scope: string,
    path: string,
    body: AsyncIterable<Uint8Array>,
    size: number | undefined,
  ): Promise<FileRecord> {
    const digest = await this.#parts.take(body, size)
    const file = await this.#recorded(scope, path)
    if (digest === file.digest) return file
    throw new RegistryError('corrupt', `${path} arrived with other bytes than its record says`)
  }

  async #recorded(scope: string, path: string): Promise<FileRecord> {
    const file = await this.#parts.recorded(scope, path, RECORD_MS)
    if (file) return file
    throw new RegistryError('unavailable', `The record of ${path} has not reached this node yet`, { retryAfter: 2 })
  }

  async #reached(position: Position): Promise<void> {
    if (await this.#parts.reached(position, RECORD_MS)) return
    throw new RegistryError('unavailable', 'What the upstream offers has not reached this node yet', { retryAfter: 2 })
  }

  async #get(target: string): Promise<LinkReply> {
    const reply = await this.#parts.link.request('GET', `/fleet/v1/${target}`)
    if (reply.status < 400 || reply.status === 404) return reply
    throw refusal(reply, await limited(reply.body, MAX_ANSWER))
  }
}
