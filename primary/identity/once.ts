/** What counts once, also after a restart and at any of several primaries: states, and ids of assertions and tokens of others. */
import { createHash } from 'node:crypto'
import type pg from 'pg'

export class Once {
  readonly #pool: Pick<pg.Pool, 'query'>

  constructor(pool: Pick<pg.Pool, 'query'>) {
    this.#pool = pool
  }

  /** false: it was used before. `untilMs`: when it is refused for its age anyway. */
  async use(kind: string, value: string, untilMs: number): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      'insert into used_once (kind, hash, expires_at) values ($1, $2, $3) on conflict do nothing',
      [kind, createHash('sha256').update(value).digest(), new Date(untilMs).toISOString()],
    )
    return rowCount === 1
  }

  async sweep(nowMs: number): Promise<void> {
    await this.#pool.query('delete from used_once where expires_at <= $1', [new Date(nowMs).toISOString()])
  }
}
