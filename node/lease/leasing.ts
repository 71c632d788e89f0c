/**
 * The ledger of a node for names that it has on lease: here it alone decides, by the same reducer and rules as the primary, with the
 * primary or without it, so that of a name there is one history. What it takes waits in Pending until it has returned. It stops at a
 * lease's end, by signed time, less the drift that its clock may have; and it takes nothing while its own records may lack some.
 */
import { RegistryError } from '../../protocol/errors.js'
import { covers, DRIFT_MS, isVoided } from '../../protocol/lease.js'
import type { Ledger, Proposal } from '../../protocol/ledger.js'
import { Batch } from '../../protocol/metadata/batch.js'
import { filesOf, refuseIfAbsent, refuseIfChanged, rulesOf } from '../../protocol/metadata/conditions.js'
import { touched } from '../../protocol/metadata/reduce.js'
import { rowKey } from '../../protocol/metadata/rows.js'
import type { State } from '../../protocol/metadata/state.js'
import type { LeaseRecord, Position, RepositoryRecord } from '../../protocol/records.js'
import { changesOf, type Entry, type Pending } from './pending.js'

export interface LeasingOptions {
  /** Id. */
  node: string
  pending: Pending
  /** Over Pending's rows. */
  state: State
  /** Time as the replica knows it. Milliseconds since 1970. */
  nowMs: () => number
  /** Are all changes that are known of applied, and the log believed. */
  sound: () => boolean
  reachable: () => boolean
  /** Does the node hold the repository. */
  holds: (record: RepositoryRecord) => boolean
  onAlarm: (sentence: string) => void
}

const RETRY_SECONDS = 10

export class Leasing implements Ledger {
  readonly #options: LeasingOptions
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: LeasingOptions) {
    this.#options = options
  }

  /** Shows what waits. */
  async start(): Promise<void> {
    const { state, pending, onAlarm } = this.#options
    await this.settle()
    state.onChange((change) => {
      const concerns = change.lease !== undefined || (change.kind === 'access' && change.subject === 'lease')
      if (concerns && pending.entries.length > 0)
        this.settle().catch(() => onAlarm('What waits for the primary could not be written'))
    })
  }

  /** Waits for what runs. */
  async close(): Promise<void> {
    await this.#turn
  }

  /** Is it this node that gives the name; undefined: the name stands in the body, which is not carried to a primary that is away. */
  takes(record: RepositoryRecord, name: string | undefined): boolean {
    const leases = this.#active(record.scope)
    return name === undefined
      ? leases.length > 0 && !this.#options.reachable()
      : leases.some((lease) => covers(lease, name))
  }

  /** Those under which nothing more is taken, and nothing waits. Remembered, so that a clock that is set back changes nothing. */
  async ended(): Promise<LeaseRecord[]> {
    const { pending } = this.#options
    const over = this.#own().filter((lease) => !this.#isActive(lease))
    for (const { id } of over) await pending.stop(id)
    // After those that were being taken.
    await this.#turn
    return over.filter(({ id }) => !pending.entries.some(({ lease }) => lease === id))
  }

  commit(proposal: Proposal): Promise<Position> {
    return this.#inTurn(() => this.#commit(proposal))
  }

  /** Only of what waits: how much else there is, the primary knows. */
  async usage(...scopes: string[]): Promise<number> {
    const { entries } = this.#options.pending
    const files = entries.filter(({ scope }) => scopes.includes(scope)).flatMap((entry) => entry.files)
    return files.reduce((sum, { size }) => sum + size, 0)
  }

  /** Lets go what is in the log by now, and what an operator gave up; what is left lies over the rows as they are now. */
  settle(): Promise<void> {
    return this.#inTurn(async () => {
      const { pending, onAlarm } = this.#options
      const before = [...pending.entries]
      const returned: Entry[] = []
      for (const entry of before) if (await pending.isInLog(entry)) returned.push(entry)
      const voided = before.filter((entry) => !returned.includes(entry) && this.#isVoided(entry))
      await pending.drop({ returned, voided })
      if (voided.length > 0)
        onAlarm(`${voided.length} publishes that waited for the primary were given up by an operator`)
      await this.#show(before)
    })
  }

  async #commit(proposal: Proposal): Promise<Position> {
    const { pending, state, nowMs } = this.#options
    const { scope, by, steps, token, unchanged } = proposal
    const lease = this.#leaseOf(proposal)
    const at = nowMs()
    const number = pending.numberAt(at)
    const batch = new Batch(pending.rows)
    const entry: Entry = {
      number,
      lease: lease.id,
      scope,
      at: new Date(at).toISOString(),
      by,
      ...(token ? { token } : {}),
      steps,
      files: await filesOf(scope, steps, batch),
    }
    if (unchanged)
      refuseIfChanged(unchanged, (await batch.before(rowKey('package', scope, unchanged.package)))?.last ?? 0)
    await refuseIfAbsent(proposal, batch)
    const writes = await batch.add(changesOf(entry), rulesOf(proposal, state.scope(scope)))
    await pending.add(entry, writes)
    await this.#show([entry])
    return state.head
  }

  /** Throws `unavailable` for what is not this node's to give a name. */
  #leaseOf({ scope, steps }: Proposal): LeaseRecord {
    const names = steps.map((step) => touched({ ...step, scope, at: '', by: '' }))
    const lease = this.#active(scope).find((one) => names.every((name) => name !== undefined && covers(one, name)))
    if (lease) return lease
    const what = [...new Set(names)].join(', ')
    throw new RegistryError('unavailable', `The primary cannot be reached, and this node has no lease on ${what}`, {
      code: 'cut_off',
      retryAfter: RETRY_SECONDS,
    })
  }

  #active(scope: string): LeaseRecord[] {
    return this.#own().filter((lease) => lease.scope === scope && this.#isActive(lease))
  }

  #own(): LeaseRecord[] {
    const { state, node } = this.#options
    return state.accessAll('lease').filter((lease) => lease.node === node && !lease.closed)
  }

  #isActive({ id, scope, until }: LeaseRecord): boolean {
    const { state, nowMs, sound, pending, holds } = this.#options
    const repository = state.scope(scope)
    if (repository === undefined || !holds(repository) || !sound() || pending.hasStopped(id)) return false
    return nowMs() < Date.parse(until) - DRIFT_MS
  }

  #isVoided({ lease: id, scope, at, steps }: Entry): boolean {
    const lease = this.#options.state.access('lease', id)
    if (!lease) return false
    return steps.some((step) => isVoided(lease, touched({ ...step, scope, at, by: '' }) ?? '', at))
  }

  /** Indexes of their packages are made anew. */
  async #show(entries: readonly Entry[]): Promise<void> {
    const { pending, state } = this.#options
    for (const { scope, steps } of entries)
      for (const name of new Set(steps.map((step) => touched({ ...step, scope, at: '', by: '' })))) {
        const row = await pending.rows.get(rowKey('package', scope, name ?? ''))
        state.touch(scope, name ?? '', row?.last ?? 0)
      }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }
}
