/**
 * Extends the tree over the log and signs its length, at most every 20 ms and never in a client's way. What it hands to
 * listeners is a batch: the entries since the last checkpoint, and the checkpoint that covers them.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type pg from 'pg'
import { failpoint } from '../../protocol/failpoint.js'
import { type Checkpoint, rawPublicKey, signCheckpoint, verifyCheckpoint } from '../../protocol/log/checkpoint.js'
import type { LogItem } from '../../protocol/log/entry.js'
import { Frontier } from '../../protocol/merkle.js'
import type { PostgresLedger } from '../postgres/ledger.js'

const BATCH_MS = 20
/** An idle log is signed again so that nodes know the time. */
const IDLE_MS = 15_000
const READ_PAGE = 5000

export interface SignedBatch {
  /** With their scopes, so that a feed can decide who sees what. */
  items: { scope: string; item: LogItem; leaf: Uint8Array }[]
  checkpoint: Checkpoint
  note: string
}

export class Signer {
  readonly #pool: pg.Pool
  readonly #key: KeyObject
  readonly #fleet: string
  readonly #now: () => string
  readonly #listeners = new Set<(batch: SignedBatch) => void>()
  readonly #onError: (error: unknown) => void
  #frontier = new Frontier()
  #epoch = 1
  /** Notes of the beginnings of the epochs after the first, in order. */
  beginnings: readonly string[] = []
  #pending: SignedBatch['items'] = []
  #timer: NodeJS.Timeout | undefined
  #idle: NodeJS.Timeout | undefined
  #work: Promise<void> = Promise.resolve()
  #closed = false
  #lastTime = ''
  #latest: { checkpoint: Checkpoint; note: string } | undefined

  constructor(options: {
    pool: pg.Pool
    key: KeyObject
    fleet: string
    now: () => string
    onError: (error: unknown) => void
  }) {
    this.#pool = options.pool
    this.#key = options.key
    this.#fleet = options.fleet
    this.#now = options.now
    this.#onError = options.onError
  }

  get latest(): { checkpoint: Checkpoint; note: string } {
    if (!this.#latest) throw new Error('the signer has not started')
    return this.#latest
  }

  onBatch(listener: (batch: SignedBatch) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Takes up where the last checkpoint ended; what was committed and not signed before a crash is signed now. */
  async start(ledger: PostgresLedger): Promise<void> {
    const { rows } = await this.#pool.query<{ epoch: string; frontier: string; note: string }>(
      'select epoch, frontier, note from checkpoint order by epoch desc, number desc limit 1',
    )
    if (rows[0]) {
      this.#frontier = Frontier.fromJSON(JSON.parse(rows[0].frontier))
      this.#epoch = Number(rows[0].epoch)
      this.#lastTime = verifyCheckpoint(rows[0].note, this.#fleet, rawPublicKey(createPublicKey(this.#key))).time
    }
    const begun = await this.#pool.query<{ note: string }>('select note from epoch order by epoch')
    this.beginnings = begun.rows.map(({ note }) => note)
    ledger.onCommit((entries) => {
      for (const { number, salt, body, leaf, change } of entries)
        this.#pending.push({ scope: change.scope, item: { number, salt, body }, leaf })
      this.#schedule()
    })
    await this.#sign()
    this.#idle = setInterval(() => this.#schedule(), IDLE_MS)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#idle)
    await this.#work
  }

  #schedule(): void {
    if (this.#timer || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#work = this.#work
        .then(() => this.#sign())
        .catch((error) => {
          this.#onError(error)
          this.#schedule()
        })
    }, BATCH_MS)
  }

  async #sign(): Promise<void> {
    const items = await this.#take()
    if (items.length > 0) failpoint('before-sign')
    const frontier = Frontier.fromJSON(this.#frontier.toJSON())
    for (const { leaf } of items) frontier.append(leaf)
    const checkpoint = {
      fleet: this.#fleet,
      epoch: this.#epoch,
      number: frontier.size,
      root: frontier.root(),
      time: this.#time(),
    }
    const note = signCheckpoint(checkpoint, this.#key)
    await this.#pool.query(
      `insert into checkpoint (epoch, number, note, frontier) values ($1, $2, $3, $4)
       on conflict (epoch, number) do update set note = excluded.note`,
      [checkpoint.epoch, checkpoint.number, note, JSON.stringify(frontier.toJSON())],
    )
    if (items.length > 0) failpoint('before-feed')
    this.#frontier = frontier
    this.#latest = { checkpoint, note }
    this.#lastTime = checkpoint.time
    for (const listener of this.#listeners) listener({ items, checkpoint, note })
  }

  /** Never before that of the last checkpoint, whatever the clock does: a longer log of an earlier time would be a rollback. */
  #time(): string {
    const now = this.#now()
    if (now < this.#lastTime) return this.#lastTime
    return now
  }

  /** The entries that follow the tree, from memory where they just passed by, otherwise from the database. */
  async #take(): Promise<SignedBatch['items']> {
    const pending = this.#pending.splice(0)
    const next = this.#frontier.size + 1
    if (pending.length > 0 && pending[0]?.item.number === next) return pending
    const items: SignedBatch['items'] = []
    for (;;) {
      const page = await readLog(this.#pool, this.#frontier.size + items.length, READ_PAGE)
      items.push(...page)
      if (page.length < READ_PAGE) return items
    }
  }
}

/** Entries after a number, in order. */
export async function readLog(
  pool: Pick<pg.Pool, 'query'>,
  after: number,
  limit: number,
): Promise<SignedBatch['items']> {
  const { rows } = await pool.query<{ number: string; scope: string; salt: Buffer; leaf: Buffer; body: Buffer | null }>(
    {
      name: 'log_read',
      text: 'select number, scope, salt, leaf, body from log where number > $1 order by number limit $2',
      values: [after, limit],
    },
  )
  return rows.map((row) => {
    const number = Number(row.number)
    return {
      scope: row.scope,
      leaf: row.leaf,
      item: row.body ? { number, salt: row.salt, body: row.body } : { number, leaf: row.leaf },
    }
  })
}
