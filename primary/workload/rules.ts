/** Trust rules, by key: in Postgres, and held in memory. */
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import { type TrustRule, trustRule } from './rule.js'

export interface KeyedRule {
  key: string
  rule: TrustRule
}

export class TrustRules {
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #rules = new Map<string, TrustRule>()

  constructor(pool: Pick<pg.Pool, 'query'>) {
    this.#pool = pool
  }

  async start(): Promise<void> {
    const { rows } = await this.#pool.query<{ key: string; rule: string }>('select key, rule from trust_rule')
    for (const { key, rule } of rows) this.#rules.set(key, trustRule.parse(JSON.parse(rule)))
  }

  /** In the order of their keys, which is also the order in which they are tried. */
  list(): KeyedRule[] {
    const all = [...this.#rules].map(([key, rule]) => ({ key, rule }))
    return all.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  async put(key: string, rule: TrustRule): Promise<void> {
    await this.#pool.query(
      'insert into trust_rule (key, rule) values ($1, $2) on conflict (key) do update set rule = $2',
      [key, JSON.stringify(rule)],
    )
    this.#rules.set(key, rule)
  }

  async remove(key: string): Promise<void> {
    if (!this.#rules.has(key)) throw new RegistryError('missing', `There is no trust rule ${key}`)
    await this.#pool.query('delete from trust_rule where key = $1', [key])
    this.#rules.delete(key)
  }
}
