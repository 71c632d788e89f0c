/**
 * The ledger in Postgres. Proposals that arrive together are one batch: the head and the rows they need are read in one query,
 * reduce.ts decides, and one statement appends, provided that the head has not moved; otherwise all is judged again. So nothing
 * is locked while this process thinks, and several processes may write. A refused proposal does not disturb the others. Nothing is
 * acknowledged before the commit. A commit whose answer was lost may have happened: it is looked for until the database answers,
 * so that this process knows what it wrote, a revocation for instance.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import { failpoint } from '../../protocol/failpoint.js'
import { changeOf, type Ledger, type Proposal } from '../../protocol/ledger.js'
import { decodeChange, type Entry, encodeChange, leafOf, SALT_BYTES } from '../../protocol/log/entry.js'
import { Batch, growth } from '../../protocol/metadata/batch.js'
import {
  checkQuota,
  conditionKeys,
  quotasOf,
  refuseIfAbsent,
  refuseIfChanged,
  refuseIfLeased,
  rulesOf,
} from '../../protocol/metadata/conditions.js'
import { needs } from '../../protocol/metadata/reduce.js'
import { keyText, type RowKey, type RowWrite, rowKey } from '../../protocol/metadata/rows.js'
import type { State } from '../../protocol/metadata/state.js'
import { type Change, FLEET, type Position, type Step } from '../../protocol/records.js'
import { readLog } from '../log/signer.js'
import { unavailable } from './pool.js'
import { PostgresRows } from './rows.js'

const MAX_BATCH = 64
const MAX_WAITING = 10_000
const RETRY_MS = 250
const LOG_PAGE = 1000

interface Waiting {
  proposal: Proposal
  resolve(position: Position): void
  reject(error: unknown): void
}

interface Outcome {
  accepted: Accepted[]
  refused: { waiting: Waiting; error: unknown }[]
  entries: Committed[]
}

interface Accepted {
  waiting: Waiting
  group: { change: Change; number: number }[]
}

export interface Committed extends Entry {
  change: Change
  leaf: Uint8Array
}

export class PostgresLedger implements Ledger {
  readonly #pool: pg.Pool
  readonly #state: State
  readonly #now: () => string
  readonly #listeners = new Set<(entries: Committed[]) => void>()
  readonly #queue: Waiting[] = []
  #running: Promise<void> | undefined
  /** A transaction failed, and nobody knows whether it was committed before that. */
  #inDoubt = false
  readonly #stop = new AbortController()

  constructor(pool: pg.Pool, state: State, now: () => string) {
    this.#pool = pool
    this.#state = state
    this.#now = now
  }

  /** Called with every batch after its commit, in order. */
  onCommit(listener: (entries: Committed[]) => void): void {
    this.#listeners.add(listener)
  }

  commit(proposal: Proposal): Promise<Position> {
    if (this.#queue.length >= MAX_WAITING)
      throw new RegistryError('unavailable', 'Too many writes are waiting', { retryAfter: 1 })
    return new Promise((resolve, reject) => {
      this.#queue.push({ proposal, resolve, reject })
      this.#running ??= this.#drain()
    })
  }

  async usage(...scopes: string[]): Promise<number> {
    const { rows } = await this.#pool.query<{ bytes: string }>(
      'select coalesce(sum(bytes), 0) as bytes from usage where scope = any($1)',
      [scopes],
    )
    return Number(rows[0]?.bytes ?? 0)
  }

  /** Waits until nothing is in flight. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #drain(): Promise<void> {
    // A turn of the event loop lets proposals that arrived together share the transaction.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0 || (this.#inDoubt && !this.#stop.signal.aborted)) {
      const taken = this.#take()
      try {
        await this.#write(taken)
        this.#inDoubt = false
      } catch (error) {
        this.#inDoubt = true
        for (const { reject } of taken) reject(error instanceof RegistryError ? error : unavailable(error))
        if (taken.length === 0) await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      }
    }
    // In the same turn as the last look at the queue, so that no proposal falls in between.
    this.#running = undefined
  }

  /** What configures repositories and leases ends a batch: what follows is judged by it. */
  #take(): Waiting[] {
    const last = this.#queue.findIndex(({ proposal }) => proposal.steps.some(configures))
    return this.#queue.splice(0, last < 0 ? MAX_BATCH : Math.min(MAX_BATCH, last + 1))
  }

  async #write(taken: Waiting[]): Promise<void> {
    const client = await this.#pool.connect()
    let broken: Error | undefined
    try {
      const { accepted, refused, entries } = await this.#transact(client, taken)
      if (entries.length > 0)
        this.#publish(
          accepted.flatMap(({ group }) => group),
          entries,
        )
      for (const { waiting, group } of accepted)
        waiting.resolve({ epoch: this.#state.head.epoch, number: group.at(-1)?.number ?? 0 })
      for (const { waiting, error } of refused) waiting.reject(error)
    } catch (error) {
      broken = error instanceof Error ? error : new Error(String(error))
      throw error
    } finally {
      // A connection that failed in a transaction is not given to anybody else.
      client.release(broken)
    }
  }

  async #transact(client: pg.PoolClient, taken: Waiting[]): Promise<Outcome> {
    // Waits for a transaction of ours that may still be running.
    if (this.#inDoubt) await client.query('select from head for update')
    for (;;) {
      const outcome = await this.#attempt(client, taken)
      if (outcome) return outcome
    }
  }

  /** undefined: another process appended meanwhile. */
  async #attempt(client: pg.PoolClient, taken: Waiting[]): Promise<Outcome | undefined> {
    const rows = new PostgresRows(client)
    const keys = taken.flatMap(({ proposal }) => keysOf(proposal))
    const { head, found } = await rows.current(keys)
    await this.#catchUp(client, head.number)
    const batch = new Batch(rows)
    batch.know(keys, found)
    const accepted: Accepted[] = []
    const refused: { waiting: Waiting; error: unknown }[] = []
    const usage = new Usage(client)
    let number = head.number
    for (const waiting of taken) {
      const group = this.#number(waiting.proposal, number)
      try {
        batch.accept(await this.#judge(waiting.proposal, group, batch, usage))
        accepted.push({ waiting, group })
        number += group.length
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
        refused.push({ waiting, error })
      }
    }
    const entries = accepted.flatMap(({ group }) => group.map(seal))
    if (entries.length === 0) return { accepted, refused, entries }
    failpoint('before-commit')
    const appended = entries.map((entry) => ({ ...entry, scope: entry.change.scope, at: entry.change.at }))
    if (!(await append(client, head, appended, batch.writes, usage.deltas))) return undefined
    failpoint('committed')
    return { accepted, refused, entries }
  }

  #number(proposal: Proposal, last: number): { change: Change; number: number }[] {
    const at = this.#now()
    return proposal.steps.map((step, i) => ({
      number: last + 1 + i,
      change: changeOf(step, proposal, at),
    }))
  }

  async #judge(
    proposal: Proposal,
    group: { change: Change; number: number }[],
    batch: Batch,
    usage: Usage,
  ): Promise<RowWrite[]> {
    if (proposal.unchanged) {
      const row = await batch.before(rowKey('package', proposal.scope, proposal.unchanged.package))
      refuseIfChanged(proposal.unchanged, row?.last ?? 0)
    }
    await refuseIfAbsent(proposal, batch)
    await refuseIfLeased(proposal, group, this.#state, batch)
    const repository = this.#state.scope(proposal.scope)
    if (!repository && proposal.scope !== FLEET) throw new RegistryError('missing', 'The repository was deleted')
    const writes = await batch.add(group, rulesOf(proposal, repository))
    const grows = await growth(writes, batch)
    // What was acknowledged elsewhere is not refused for want of room.
    for (const { quota, scopes, whose } of proposal.returned ? [] : quotasOf(repository, this.#state))
      checkQuota(quota, (await usage.of(scopes)) + grows, grows, whose)
    usage.add(proposal.scope, grows)
    return writes
  }

  /** Takes over what the log holds and this process never heard of. */
  async #catchUp(client: pg.PoolClient, last: number): Promise<void> {
    while (this.#state.head.number < last) {
      const items = await readLog(client, this.#state.head.number, LOG_PAGE)
      const entries = items.flatMap(({ item, leaf }) =>
        'body' in item ? [{ ...item, leaf, change: decodeChange(item.body) }] : [],
      )
      if (entries.length === 0) throw new Error('the log is shorter than its head says')
      this.#publish(entries, entries)
    }
  }

  #publish(changes: { change: Change; number: number }[], entries: Committed[]): void {
    this.#state.note(changes, {
      epoch: this.#state.head.epoch,
      number: entries.at(-1)?.number ?? this.#state.head.number,
    })
    for (const listener of this.#listeners) listener(entries)
  }
}

/** Usage within a batch: read once, then carried along. */
class Usage {
  readonly deltas = new Map<string, number>()
  readonly #before = new Map<string, number>()
  readonly #client: pg.PoolClient

  constructor(client: pg.PoolClient) {
    this.#client = client
  }

  /** Of several together. */
  async of(scopes: readonly string[]): Promise<number> {
    const unknown = scopes.filter((scope) => !this.#before.has(scope))
    if (unknown.length > 0) {
      for (const scope of unknown) this.#before.set(scope, 0)
      const { rows } = await this.#client.query<{ scope: string; bytes: string }>(
        'select scope, bytes from usage where scope = any($1)',
        [unknown],
      )
      for (const { scope, bytes } of rows) this.#before.set(scope, Number(bytes))
    }
    return scopes.reduce((sum, scope) => sum + (this.#before.get(scope) ?? 0) + (this.deltas.get(scope) ?? 0), 0)
  }

  add(scope: string, bytes: number): void {
    if (bytes !== 0) this.deltas.set(scope, (this.deltas.get(scope) ?? 0) + bytes)
  }
}

function keysOf(proposal: Proposal): RowKey[] {
  return [...proposal.steps.flatMap((step) => needs(changeOf(step, proposal, ''))), ...conditionKeys(proposal)]
}

function configures(step: Step): boolean {
  return step.kind === 'repository' || (step.kind === 'access' && step.subject === 'lease')
}

function seal({ change, number }: { change: Change; number: number }): Committed {
  const entry = { number, salt: randomBytes(SALT_BYTES), body: encodeChange(change) }
  return { ...entry, change, leaf: leafOf(entry) }
}

/** A row of the log. */
export interface Appended {
  number: number
  scope: string
  at: string
  salt: Uint8Array
  leaf: Uint8Array
  /** null: only its hash is known. */
  body: Uint8Array | null
}

/** `usage`: bytes that scopes grow by. False: the log is not where it was. */
export async function append(
  client: pg.PoolClient,
  head: Position,
  entries: readonly Appended[],
  writes: readonly RowWrite[],
  usage: ReadonlyMap<string, number>,
): Promise<boolean> {
  const { closed, opened } = spans(writes)
  const { rows } = await client.query<{ appended: boolean }>({
    name: 'append_batch',
    text: `select append_batch(${Array.from({ length: 22 }, (_, i) => `$${i + 1}`).join(', ')}) as appended`,
    values: [
      head.epoch,
      head.number,
      entries.map((entry) => entry.number),
      entries.map((entry) => entry.scope),
      entries.map((entry) => entry.at),
      entries.map((entry) => entry.salt),
      entries.map((entry) => entry.leaf),
      entries.map((entry) => entry.body),
      ...keyColumns(closed),
      closed.map((write) => write.number),
      ...keyColumns(opened),
      opened.map((write) => write.number),
      opened.map((write) => write.until),
      opened.map((write) => JSON.stringify(write.value)),
      [...usage.keys()],
      [...usage.values()],
    ],
  })
  return rows[0]?.appended === true
}

/** What a batch closes (each key's first write ends the row that was there) and the rows it opens, with their spans. */
function spans(writes: readonly RowWrite[]): { closed: RowWrite[]; opened: (RowWrite & { until: number | null })[] } {
  const closed = new Map<string, RowWrite>()
  const open = new Map<string, RowWrite & { until: number | null }>()
  const opened: (RowWrite & { until: number | null })[] = []
  for (const write of writes) {
    const text = keyText(write.key)
    const before = open.get(text)
    if (before) before.until = write.number
    if (!closed.has(text)) closed.set(text, write)
    open.delete(text)
    if (write.value === undefined) continue
    const row = { ...write, until: null }
    open.set(text, row)
    opened.push(row)
  }
  return { closed: [...closed.values()], opened }
}

function keyColumns(writes: RowWrite[]): string[][] {
  const keys = writes.map((write) => write.key)
  return [
    keys.map((key) => key.table),
    keys.map((key) => key.scope),
    keys.map((key) => key.name),
    keys.map((key) => key.sub),
  ]
}
