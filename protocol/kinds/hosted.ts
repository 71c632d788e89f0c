/** A repository whose packages are published here: bytes first, then names, then the acknowledgement. */
import { RegistryError } from '../errors.js'
import type { Grammar } from '../format.js'
import type { Ledger } from '../ledger.js'
import { checkQuota } from '../metadata/conditions.js'
import type { Blobs, Metadata, Principal, Upload, WriteOptions } from '../ports.js'
import type { Position, RepositoryRecord, Step, Stored } from '../records.js'
import type { Writable } from '../repository.js'
import { Recorded } from './recorded.js'

export interface HostedParts {
  blobs: Blobs
  ledger: Ledger
  /** ISO 8601. */
  now: () => string
  maxUploadBytes: number
  nameOf?: Grammar['name'] | undefined
}

export class Hosted extends Recorded {
  readonly #target: Writable

  constructor(record: RepositoryRecord, metadata: Metadata, parts: HostedParts) {
    super(record, metadata, parts.blobs, parts.nameOf)
    this.#target = new Publishing(record, parts)
  }

  override get target(): Writable {
    return this.#target
  }
}

class Publishing implements Writable {
  readonly record: RepositoryRecord
  readonly now: () => string
  readonly #parts: HostedParts

  constructor(record: RepositoryRecord, parts: HostedParts) {
    this.record = record
    this.now = parts.now
    this.#parts = parts
  }

  async receive(body: AsyncIterable<Uint8Array>, asked: WriteOptions & { length?: number }): Promise<Stored> {
    const options = { ...asked, limit: Math.min(asked.limit, this.#parts.maxUploadBytes) }
    if ((options.length ?? 0) > options.limit)
      throw new RegistryError('too_large', `Files here have at most ${options.limit} bytes`)
    const { quota, scope } = this.record
    if (quota === undefined) return this.#parts.blobs.write(body, options)
    await this.checkRoom(options.length ?? 0)
    const room = Math.max(0, quota - (await this.#parts.ledger.usage(scope)))
    return this.#parts.blobs.write(room < options.limit ? upTo(body, room, quota) : body, options)
  }

  begin(id: string): Promise<Upload> {
    return this.#parts.blobs.begin(id)
  }

  resume(id: string): Promise<Upload | undefined> {
    return this.#parts.blobs.resume(id)
  }

  async checkRoom(bytes: number): Promise<void> {
    const { quota, scope } = this.record
    if (bytes > this.#parts.maxUploadBytes)
      throw new RegistryError('too_large', `Files here have at most ${this.#parts.maxUploadBytes} bytes`)
    if (quota !== undefined) checkQuota(quota, (await this.#parts.ledger.usage(scope)) + bytes, bytes)
  }

  commit(steps: Step[], by: Principal, unchanged?: { package: string; last: number }): Promise<Position> {
    return this.#parts.ledger.commit({
      scope: this.record.scope,
      steps,
      by: by.name,
      ...(unchanged ? { unchanged } : {}),
    })
  }
}

/** Ends a body that outgrows the quota while it arrives, so that it is never stored. */
async function* upTo(body: AsyncIterable<Uint8Array>, room: number, quota: number): AsyncIterable<Uint8Array> {
  let left = room
  for await (const chunk of body) {
    left -= chunk.length
    if (left < 0)
      throw new RegistryError('over_quota', `The repository's quota of ${quota} bytes does not hold this file`, {
        code: 'quota_exceeded',
      })
    yield chunk
  }
}
