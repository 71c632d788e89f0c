/** Last uses of tokens: noted in memory here and, by their heartbeats, at nodes, and written in batches. Never changes of the log. */
import type pg from 'pg'
import { type TokenUse, TokenUses } from '../../protocol/access/uses.js'
import type { Directory } from './directory.js'

export class LastUses {
  /** What is not written yet. */
  readonly noted = new TokenUses()
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #directory: Pick<Directory, 'token' | 'all'>

  constructor(pool: Pick<pg.Pool, 'query'>, directory: Pick<Directory, 'token' | 'all'>) {
    this.#pool = pool
    this.#directory = directory
  }

  /** Takes over what a node tells. Its clock is not believed beyond this one. */
  hear(uses: readonly TokenUse[], nowMs: number): void {
    for (const { id, at, remote } of uses)
      if (this.#directory.token(id)) this.noted.note(id, remote, Math.min(Date.parse(at), nowMs))
  }

  /** What could not be written is kept for the next time. */
  async flush(): Promise<void> {
    for (let uses = this.noted.take(); uses.length > 0; uses = this.noted.take()) {
      try {
        await this.#write(uses)
      } catch (error) {
        this.noted.restore(uses)
        throw error
      }
    }
  }

  /** Flushes first, so that it is up to the moment. */
  async of(ids: readonly string[]): Promise<Map<string, TokenUse>> {
    await this.flush()
    const { rows } = await this.#pool.query<{ id: string; at: Date; remote: string }>(
      'select id, at, remote from token_use where id = any($1)',
      [ids],
    )
    return new Map(rows.map(({ id, at, remote }) => [id, { id, at: at.toISOString(), remote }]))
  }

  /** Forgets tokens that are gone. */
  async sweep(): Promise<void> {
    const ids = this.#directory.all('token').map(({ id }) => id)
    await this.#pool.query('delete from token_use where not id = any($1)', [ids])
  }

  async #write(uses: readonly TokenUse[]): Promise<void> {
    await this.#pool.query({
      name: 'token_use',
      text: `insert into token_use as known (id, at, remote) select * from unnest($1::text[], $2::timestamptz[], $3::text[])
             on conflict (id) do update set at = excluded.at, remote = excluded.remote where excluded.at > known.at`,
      values: [uses.map(({ id }) => id), uses.map(({ at }) => at), uses.map(({ remote }) => remote)],
    })
  }
}
