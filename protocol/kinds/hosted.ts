/** A repository whose packages are published here: bytes first, then names, then the acknowledgement. */
import { RegistryError } from '../errors.js'
import type { Grammar } from '../format.js'
import type { Ledger } from '../ledger.js'
import { checkQuota, quotasOf } from '../metadata/conditions.js'
import type { Blobs, Metadata, Principal, Upload, WriteOptions } from '../ports.js'
import type { Position, RemovedFile, RepositoryRecord, Step, Stored, TokenRecord, VersionKey } from '../records.js'
import type { Writable } from '../repository.js'
import { Recorded } from './recorded.js'

export interface HostedParts {
  blobs: Blobs
  ledger: Ledger
  /** ISO 8601. */
  now: () => string
  maxUploadBytes: number
  /** How long after its removal a file can be restored. */
  restoreMs: number
  nameOf?: Grammar['name'] | undefined
}

export class Hosted extends Recorded {
  readonly #target: Writable

  constructor(record: RepositoryRecord, metadata: Metadata, parts: HostedParts) {
    super(record, metadata, parts.blobs, parts.nameOf)
    this.#target = new Publishing(record, metadata, parts)
  }

  override get target(): Writable {
    return this.#target
  }
}

class Publishing implements Writable {
  readonly record: RepositoryRecord
  readonly now: () => string
  readonly #metadata: Pick<Metadata, 'removed' | 'access' | 'repositories'>
  readonly #parts: HostedParts

  constructor(
    record: RepositoryRecord,
    metadata: Pick<Metadata, 'removed' | 'access' | 'repositories'>,
    parts: HostedParts,
  ) {
    this.record = record
    this.#metadata = metadata
    this.now = parts.now
    this.#parts = parts
  }

  async receive(body: AsyncIterable<Uint8Array>, asked: WriteOptions & { length?: number }): Promise<Stored> {
    const options = { ...asked, limit: Math.min(asked.limit, this.#parts.maxUploadBytes) }
    if ((options.length ?? 0) > options.limit)
      throw new RegistryError('too_large', `Files here have at most ${options.limit} bytes`)
    const { blobs, ledger } = this.#parts
    let limited = body
    for (const { quota, scopes, whose } of quotasOf(this.record, this.#metadata)) {
      const used = await ledger.usage(...scopes)
      checkQuota(quota, used + (options.length ?? 0), options.length ?? 0, whose)
      if (quota - used < options.limit) limited = upTo(limited, Math.max(0, quota - used), quota, whose)
    }
    return blobs.write(limited, options)
  }

  begin(id: string): Promise<Upload> {
    return this.#parts.blobs.begin(id)
  }

  resume(id: string): Promise<Upload | undefined> {
    return this.#parts.blobs.resume(id)
  }

  async checkRoom(bytes: number): Promise<void> {
    if (bytes > this.#parts.maxUploadBytes)
      throw new RegistryError('too_large', `Files here have at most ${this.#parts.maxUploadBytes} bytes`)
    for (const { quota, scopes, whose } of quotasOf(this.record, this.#metadata))
      checkQuota(quota, (await this.#parts.ledger.usage(...scopes)) + bytes, bytes, whose)
  }

  commit(
    steps: Step[],
    by: Principal,
    unchanged?: { package: string; last: number },
    present: readonly VersionKey[] = [],
  ): Promise<Position> {
    return this.#parts.ledger.commit({
      scope: this.record.scope,
      steps,
      by: by.name,
      ...(by.token ? { token: tokenOf(by.token) } : {}),
      present,
      ...(unchanged ? { unchanged } : {}),
    })
  }

  async restorable(path: string): Promise<RemovedFile | undefined> {
    const removed = await this.#metadata.removed(this.record.scope, path)
    const isKept = removed && Date.parse(this.now()) - Date.parse(removed.removedAt) < this.#parts.restoreMs
    return isKept ? removed : undefined
  }
}

function tokenOf({ id, expiresAt }: TokenRecord): Pick<TokenRecord, 'id' | 'expiresAt'> {
  return expiresAt === undefined ? { id } : { id, expiresAt }
}

/** Ends a body that outgrows the quota while it arrives, so that it is never stored. */
async function* upTo(
  body: AsyncIterable<Uint8Array>,
  room: number,
  quota: number,
  whose: string,
): AsyncIterable<Uint8Array> {
  let left = room
  for await (const chunk of body) {
    left -= chunk.length
    if (left < 0)
      throw new RegistryError('over_quota', `The ${whose}'s quota of ${quota} bytes does not hold this file`, {
        code: 'quota_exceeded',
      })
    yield chunk
  }
}
