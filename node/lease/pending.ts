/**
 * What this node took under its leases and has not returned. Bytes, then names, are synced before anything is acknowledged:
 *
 *     <folder>/store                 DiskBlobs
 *     <folder>/records  waits\0<number, 16 hex digits>   ->  CRC | Entry as JSON
 *                       voided\0<number, 16 hex digits>  ->  CRC | one that an operator gave up: nothing reads it, its bytes stay
 *                       stopped\0<lease>                 ->  '': nothing more is taken under it, whatever the clock says
 *
 * Unlike a replica's nothing of it can be fetched again: what cannot be read ends the start of the node with a sentence.
 */
import { join } from 'node:path'
import { DiskBlobs } from '../../protocol/blobs/disk.js'
import { RegistryError } from '../../protocol/errors.js'
import { Batch } from '../../protocol/metadata/batch.js'
import { keyText, type Rows, type RowWrite, rowKey } from '../../protocol/metadata/rows.js'
import type { Change, Digest, Held, Step, TokenRecord } from '../../protocol/records.js'
import { type Database, openAlone } from '../replica/database.js'
import { type Operation, seal, unseal } from '../replica/level-rows.js'
import { Overlay } from './overlay.js'

/** A proposal that was taken, whole. */
export interface Entry {
  /** Of its first step; the others follow. Above all numbers of the log, and never given again: it contains the time. */
  number: number
  lease: string
  scope: string
  /** ISO 8601. */
  at: string
  by: string
  /** By which it came. */
  token?: Pick<TokenRecord, 'id' | 'expiresAt'>
  steps: Step[]
  /** Those that it gives names to, or gives them back. */
  files: Held[]
}

/** Log numbers of what is not in the log begin here. */
const PENDING = 4_000_000_000_000_000
const STOPPED = 'stopped\0'

export class Pending {
  readonly disk: DiskBlobs
  readonly #db: Database
  #entries: Entry[]
  readonly #stopped: Set<string>
  #base: Rows | undefined
  #writes = new Map<string, RowWrite>()
  readonly rows = new Overlay(
    () => this.#base ?? fail(),
    () => this.#writes,
  )
  #last: number

  private constructor(disk: DiskBlobs, db: Database, entries: Entry[], stopped: Set<string>) {
    this.disk = disk
    this.#db = db
    this.#entries = entries
    this.#stopped = stopped
    this.#last = entries.reduce((last, { number, steps }) => Math.max(last, number + steps.length), PENDING)
  }

  /** Throws `corrupt` when something that waits cannot be read. */
  static async open(folder: string): Promise<Pending> {
    const disk = new DiskBlobs(join(folder, 'store'))
    await disk.start()
    const db = await openAlone(join(folder, 'records'))
    const entries: Entry[] = []
    for await (const [key, text] of db.iterator({ gt: 'waits\0', lt: 'waits\u0001' })) {
      const json = unseal(key, text)
      if (json === undefined)
        throw new RegistryError(
          'corrupt',
          `What waits for the primary in ${folder} is damaged: move it away to go on without`,
        )
      entries.push(JSON.parse(json) as Entry)
    }
    const stopped = new Set<string>()
    for await (const key of db.keys({ gt: STOPPED, lt: 'stopped\u0001' })) stopped.add(key.slice(STOPPED.length))
    return new Pending(disk, db, entries, stopped)
  }

  async close(): Promise<void> {
    await this.#db.close()
    await this.disk.close()
  }

  /** The replica's rows with what waits over them. */
  over(rows: Rows): Rows {
    this.#base = rows
    return this.rows
  }

  /** In the order in which they were taken. */
  get entries(): readonly Entry[] {
    return this.#entries
  }

  /** Larger than all before, and growing with time although a lost folder should begin anew. */
  numberAt(nowMs: number): number {
    return Math.max(this.#last + 1, PENDING + Math.floor(nowMs))
  }

  /** Where what waits records a digest. */
  holders(digest: Digest): { scope: string; path: string }[] {
    return this.#entries.flatMap(({ scope, files }) =>
      files.flatMap((file) => (file.digest === digest ? [{ scope, path: file.path }] : [])),
    )
  }

  /** Durable when it returns, and seen from then on. */
  async add(entry: Entry, writes: readonly RowWrite[]): Promise<void> {
    await this.#db.batch([waits(entry)], { sync: true })
    this.#last = entry.number + entry.steps.length
    this.#entries.push(entry)
    for (const write of writes) this.#writes.set(keyText(write.key), write)
  }

  /** Has the replica applied it, or what was taken after it. */
  async isInLog({ scope, lease, number }: Entry): Promise<boolean> {
    const row = await (this.#base ?? fail()).get(rowKey('returned', scope, lease))
    return row !== undefined && row.number >= number
  }

  /** Those in the log by now, and those that an operator gave up; then the others lie over the replica's rows as they are now. */
  async drop({ returned, voided }: { returned: readonly Entry[]; voided: readonly Entry[] }): Promise<void> {
    const gone = [...returned, ...voided]
    const kept = voided.map((entry) => put(`voided\0${hex(entry.number)}`, JSON.stringify(entry)))
    const drops = gone.map(({ number }): Operation => ({ type: 'del', key: `waits\0${hex(number)}` }))
    if (gone.length > 0) await this.#db.batch([...kept, ...drops], { sync: true })
    this.#entries = this.#entries.filter((entry) => !gone.includes(entry))
    const batch = new Batch(this.#base ?? fail())
    for (const entry of this.#entries) batch.accept(await batch.add(changesOf(entry)))
    this.#writes = new Map(batch.final.map((write) => [keyText(write.key), write]))
  }

  hasStopped(lease: string): boolean {
    return this.#stopped.has(lease)
  }

  async stop(lease: string): Promise<void> {
    if (this.#stopped.has(lease)) return
    await this.#db.batch([{ type: 'put', key: STOPPED + lease, value: '' }], { sync: true })
    this.#stopped.add(lease)
  }

  /** Of what waits, given up, or had its bytes received after `sinceMs`, nothing goes. Returns how many blobs did. */
  async sweep(sinceMs: number): Promise<number> {
    const wanted = new Set<Digest>(this.#entries.flatMap(({ files }) => files.map(({ digest }) => digest)))
    for await (const [key, text] of this.#db.iterator({ gt: 'voided\0', lt: 'voided\u0001' }))
      for (const { digest } of (JSON.parse(unseal(key, text) ?? '{"files":[]}') as Entry).files) wanted.add(digest)
    await this.disk.expireUploads(sinceMs)
    let gone = 0
    for await (const { digest } of this.disk.list())
      if (!wanted.has(digest) && (await this.disk.delete(digest, sinceMs))) gone++
    return gone
  }
}

/** As a replica would apply them. */
export function changesOf({ number, lease, scope, at, by, steps }: Entry): { change: Change; number: number }[] {
  return steps.map((step, i) => ({
    number: number + i,
    change: { ...step, scope, at, by, lease: { id: lease, number } },
  }))
}

function waits(entry: Entry): Operation {
  return put(`waits\0${hex(entry.number)}`, JSON.stringify(entry))
}

function put(key: string, json: string): Operation {
  return { type: 'put', key, value: seal(key, json) }
}

function hex(number: number): string {
  return number.toString(16).padStart(16, '0')
}

function fail(): never {
  throw new Error('the replica is not open yet')
}
