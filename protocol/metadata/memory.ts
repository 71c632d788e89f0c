/** Rows and a ledger in memory: the reference that the other stores are compared with, and the ground for tests. */
import { changeOf, type Ledger, type Proposal } from '../ledger.js'
import type { Change, Position } from '../records.js'
import { Batch, growth } from './batch.js'
import { checkQuota, quotasOf, refuseIfAbsent, refuseIfChanged, refuseIfLeased, rulesOf } from './conditions.js'
import {
  inOrder,
  isWithin,
  keyText,
  type RowKey,
  type Rows,
  type RowWrite,
  type Scan,
  type Table,
  type Tables,
} from './rows.js'
import { State } from './state.js'

export class MemoryRows implements Rows {
  readonly #values = new Map<string, RowWrite>()

  async get<T extends Table>(key: RowKey<T>): Promise<Tables[T] | undefined> {
    return structuredClone(this.#values.get(keyText(key))?.value) as Tables[T] | undefined
  }

  async *scan<T extends Table>(
    table: T,
    scope: string,
    scan: Scan,
  ): AsyncIterable<{ key: RowKey<T>; value: Tables[T] }> {
    const keys = [...this.#values.values()].filter(
      ({ key }) => key.table === table && key.scope === scope && isWithin(key, scan),
    )
    keys.sort((a, b) => inOrder(a.key, b.key))
    for (const { key, value } of keys) yield structuredClone({ key, value }) as { key: RowKey<T>; value: Tables[T] }
  }

  write(writes: RowWrite[]): void {
    for (const write of writes) {
      if (write.value === undefined) this.#values.delete(keyText(write.key))
      else this.#values.set(keyText(write.key), structuredClone(write))
    }
  }
}

export class MemoryLedger implements Ledger {
  readonly log: { number: number; change: Change }[] = []
  readonly state: State
  readonly rows: MemoryRows
  readonly #used = new Map<string, number>()
  readonly #now: () => string
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(rows: MemoryRows, state: State, now: () => string) {
    this.rows = rows
    this.state = state
    this.#now = now
  }

  static async open(now: () => string = () => new Date().toISOString()): Promise<MemoryLedger> {
    const rows = new MemoryRows()
    return new MemoryLedger(rows, await State.open(rows, { epoch: 1, number: 0 }), now)
  }

  async usage(...scopes: string[]): Promise<number> {
    return scopes.reduce((sum, scope) => sum + (this.#used.get(scope) ?? 0), 0)
  }

  commit(proposal: Proposal): Promise<Position> {
    const done = this.#turn.then(() => this.#commit(proposal))
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #commit(proposal: Proposal): Promise<Position> {
    const { number } = this.state.head
    const group = proposal.steps.map((step, i) => ({
      number: number + 1 + i,
      change: changeOf(step, proposal, this.#now()),
    }))
    const batch = new Batch(this.rows)
    await checkUnchanged(proposal, this.state)
    await refuseIfAbsent(proposal, batch)
    await refuseIfLeased(proposal, group, this.state, batch)
    const repository = this.state.scope(proposal.scope)
    const writes = await batch.add(group, rulesOf(proposal, repository))
    const grows = await growth(writes, batch)
    for (const { quota, scopes, whose } of proposal.returned ? [] : quotasOf(repository, this.state))
      checkQuota(quota, (await this.usage(...scopes)) + grows, grows, whose)
    this.rows.write(writes)
    this.#used.set(proposal.scope, (await this.usage(proposal.scope)) + grows)
    this.log.push(...group)
    this.state.note(group, { epoch: 1, number: number + group.length })
    return this.state.head
  }
}

async function checkUnchanged(proposal: Proposal, state: State): Promise<void> {
  if (!proposal.unchanged) return
  const last = await state.stamp(proposal.scope, proposal.unchanged.package)
  refuseIfChanged(proposal.unchanged, last)
}
