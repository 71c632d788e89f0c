/**
 * Takes the log over into an empty database, page by page, each checked against the checkpoint that the lost primary signed, and
 * writes the rows that it leaves behind. What was begun goes on where it ended. Entries of which only the hash is known stay that.
 */
import type { KeyObject } from 'node:crypto'
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import { type Beginning, keptOf, signBeginning } from '../../protocol/log/beginning.js'
import { type Checkpoint, verifyCheckpoint } from '../../protocol/log/checkpoint.js'
import { decodeChange, type LogItem, leafOf } from '../../protocol/log/entry.js'
import { Frontier } from '../../protocol/merkle.js'
import { Batch, growth } from '../../protocol/metadata/batch.js'
import { needs } from '../../protocol/metadata/reduce.js'
import type { Change } from '../../protocol/records.js'
import type { RecoveryKey } from '../../protocol/recovery/key.js'
import { type Appended, append } from '../postgres/ledger.js'
import { PostgresRows } from '../postgres/rows.js'
import type { Page } from './source.js'

const LEAVES = 10_000

export class RescuedLog {
  readonly #pool: pg.Pool
  readonly #fleet: string
  readonly #publicKey: Uint8Array
  #frontier: Frontier
  #epoch: number
  #time: string
  /** Entries whose contents are not known. */
  hidden = 0
  /** Of epochs, as nodes told them. */
  readonly #beginnings: Beginning[] = []

  private constructor(
    pool: pg.Pool,
    { fleet, publicKey }: { fleet: string; publicKey: Uint8Array },
    before: { frontier: Frontier; epoch: number; time: string; hidden: number },
  ) {
    this.#pool = pool
    this.#fleet = fleet
    this.#publicKey = publicKey
    this.#frontier = before.frontier
    this.#epoch = before.epoch
    this.#time = before.time
    this.hidden = before.hidden
  }

  /** `publicKey`: of the log, 32 raw bytes. A log that is there goes on; what was not signed of it counts, too. */
  static async open(pool: pg.Pool, log: { fleet: string; publicKey: Uint8Array }): Promise<RescuedLog> {
    const { rows } = await pool.query<{ frontier: string; note: string; hidden: string }>(
      `select frontier, note, (select count(*) from log where body is null) as hidden
       from checkpoint order by epoch desc, number desc limit 1`,
    )
    const [row] = rows
    if (!row) return new RescuedLog(pool, log, { frontier: new Frontier(), epoch: 1, time: '', hidden: 0 })
    const { epoch, time } = verifyCheckpoint(row.note, log.fleet, log.publicKey)
    const frontier = await extended(pool, Frontier.fromJSON(JSON.parse(row.frontier)))
    return new RescuedLog(pool, log, { frontier, epoch, time, hidden: Number(row.hidden) })
  }

  get number(): number {
    return this.#frontier.size
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Beginnings of epochs that a node tells: what was taken back by them is not taken over. What nobody signed does not count. */
  know(notes: readonly string[]): void {
    for (const note of notes)
      try {
        this.#beginnings.push({ checkpoint: verifyCheckpoint(note, this.#fleet, this.#publicKey), note })
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
      }
  }

  /** Throws `corrupt` for a page that does not go on from here to what the primary signed; nothing of it is taken. */
  async take(page: Page): Promise<void> {
    const checkpoint = verifyCheckpoint(page.note, this.#fleet, this.#publicKey)
    const fresh = page.items.filter((item) => item.number > this.number && item.number <= checkpoint.number)
    const frontier = this.#extended(fresh, checkpoint)
    const client = await this.#pool.connect()
    try {
      await client.query('begin')
      await client.query('update head set epoch = $1', [checkpoint.epoch])
      await this.#append(client, fresh, checkpoint)
      await client.query('insert into checkpoint (epoch, number, note, frontier) values ($1, $2, $3, $4)', [
        checkpoint.epoch,
        checkpoint.number,
        page.note,
        JSON.stringify(frontier.toJSON()),
      ])
      await client.query('commit')
    } catch (error) {
      await client.query('rollback')
      throw error
    } finally {
      client.release()
    }
    this.#frontier = frontier
    this.#epoch = checkpoint.epoch
    this.#time = checkpoint.time
    this.hidden += fresh.filter((item) => 'leaf' in item).length
  }

  /** Of an entry that is here. */
  async leaf(number: number): Promise<Uint8Array | undefined> {
    const { rows } = await this.#pool.query<{ leaf: Buffer }>('select leaf from log where number = $1', [number])
    return rows[0]?.leaf
  }

  /** The next epoch begins, at a length up to which nodes have the same log; the old ones end. */
  async begin(
    client: pg.PoolClient,
    length: number,
    { key, recovery, now }: { key: KeyObject; recovery: RecoveryKey; now: string },
  ): Promise<Checkpoint> {
    const frontier = length === this.number ? this.#frontier : await extended(client, new Frontier(), length)
    const checkpoint = {
      fleet: this.#fleet,
      epoch: Math.max(this.#epoch, ...this.#beginnings.map(({ checkpoint: begun }) => begun.epoch)) + 1,
      number: length,
      root: frontier.root(),
      time: now > this.#time ? now : this.#time,
    }
    for (const begun of this.#beginnings) await insertBeginning(client, begun)
    const note = signBeginning(checkpoint, key, recovery.signing)
    const { epoch, number } = checkpoint
    await insertBeginning(client, { checkpoint, note })
    await client.query('insert into checkpoint (epoch, number, note, frontier) values ($1, $2, $3, $4)', [
      epoch,
      number,
      note,
      JSON.stringify(frontier.toJSON()),
    ])
    await client.query('update head set epoch = $1', [epoch])
    return checkpoint
  }

  #extended(fresh: LogItem[], { epoch, number, root }: Checkpoint): Frontier {
    const frontier = Frontier.fromJSON(this.#frontier.toJSON())
    const kept = keptOf(epoch, this.#beginnings)?.checkpoint.number
    if (kept !== undefined && number > kept)
      throw new RegistryError('corrupt', `Changes beyond ${kept} of the ended epoch ${epoch} were taken back`)
    const follows = fresh[0]?.number === this.number + 1 && fresh.length === number - this.number
    for (const item of fresh) frontier.append(leafOf(item))
    if (follows && epoch >= this.#epoch && Buffer.compare(frontier.root(), root) === 0) return frontier
    throw new RegistryError('corrupt', `Changes up to ${number} do not lead to the root that the primary signed`)
  }

  async #append(client: pg.PoolClient, fresh: LogItem[], { epoch, time }: Checkpoint): Promise<void> {
    const rows = new PostgresRows(client)
    const batch = new Batch(rows)
    const entries = fresh.map((item) => entryOf(item, time))
    const changes = entries.flatMap(({ number, change }) => (change ? [{ number, change }] : []))
    const keys = changes.flatMap(({ change }) => needs(change))
    batch.know(keys, (await rows.current(keys)).found)
    const usage = new Map<string, number>()
    for (const { change, number } of changes) {
      const writes = await batch.add([{ change, number }])
      usage.set(change.scope, (usage.get(change.scope) ?? 0) + (await growth(writes, batch)))
      batch.accept(writes)
    }
    if (await append(client, { epoch, number: this.number }, entries, batch.writes, usage)) return
    throw new RegistryError('unavailable', 'Something else writes to this database; end that first')
  }
}

/** By the entries that follow in the database, up to a length. */
async function extended(db: Pick<pg.Pool, 'query'>, frontier: Frontier, length = Number.MAX_SAFE_INTEGER) {
  for (;;) {
    const { rows } = await db.query<{ leaf: Buffer }>(
      'select leaf from log where number > $1 and number <= $2 order by number limit $3',
      [frontier.size, length, LEAVES],
    )
    for (const { leaf } of rows) frontier.append(leaf)
    if (rows.length < LEAVES) return frontier
  }
}

async function insertBeginning(client: pg.PoolClient, { checkpoint, note }: Beginning): Promise<void> {
  await client.query('insert into epoch (epoch, note) values ($1, $2) on conflict do nothing', [checkpoint.epoch, note])
}

function entryOf(item: LogItem, time: string): Appended & { change: Change | undefined } {
  const leaf = leafOf(item)
  if ('leaf' in item)
    return { number: item.number, scope: '', at: time, salt: Buffer.alloc(0), leaf, body: null, change: undefined }
  const change = decodeChange(item.body)
  return { ...item, leaf, scope: change.scope, at: change.at, change }
}
