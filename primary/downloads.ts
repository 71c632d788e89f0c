/**
 * Download counts per file and day. Counted in memory (here and, by their heartbeats, at nodes) and flushed in batches: a read
 * never waits for them, and a crash may lose the last few seconds. They are statistics and never changes of the log.
 */
import type pg from 'pg'

export interface Statistics {
  total: number
  /** ISO 8601. */
  lastAt: string | undefined
  /** Oldest first, days without downloads left out. */
  days: { day: string; count: number }[]
  /** Most downloaded first. */
  top: { path: string; count: number }[]
}

const MAX_PENDING = 50_000
const BATCH = 1000
const MAX_PATH_CHARACTERS = 4096
const TOP = 20

interface Pending {
  scope: string
  path: string
  count: number
}

export class Downloads {
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #nowMs: () => number
  #pending = new Map<string, Pending>()

  constructor(pool: Pick<pg.Pool, 'query'>, nowMs: () => number = Date.now) {
    this.#pool = pool
    this.#nowMs = nowMs
  }

  count(scope: string, path: string, count = 1): void {
    const key = `${scope}\0${path}`
    const known = this.#pending.get(key)
    if (known) known.count += count
    // Beyond the bound new files are not counted until the next flush; memory comes first.
    else if (this.#pending.size < MAX_PENDING && path.length <= MAX_PATH_CHARACTERS)
      this.#pending.set(key, { scope, path, count })
  }

  /** Writes what was counted. What could not be written is kept for the next time. */
  async flush(): Promise<void> {
    const pending = [...this.#pending.values()]
    this.#pending = new Map()
    const at = new Date(this.#nowMs()).toISOString()
    for (let i = 0; i < pending.length; i += BATCH) {
      try {
        await this.#write(pending.slice(i, i + BATCH), at)
      } catch (error) {
        for (const { scope, path, count } of pending.slice(i)) this.count(scope, path, count)
        throw error
      }
    }
  }

  /** Downloads of one file. */
  async total(scope: string, path: string): Promise<number> {
    const { rows } = await this.#pool.query<{ sum: string }>(
      'select coalesce(sum(count), 0) as sum from download where scope = $1 and path = $2',
      [scope, path],
    )
    return Number(rows[0]?.sum ?? 0) + (this.#pending.get(`${scope}\0${path}`)?.count ?? 0)
  }

  /** Of a repository, or of one file in it; `top` is of the same days. Flushes first, so that it is up to the moment. */
  async statistics(scope: string, { path, days }: { path?: string | undefined; days: number }): Promise<Statistics> {
    await this.flush()
    const since = new Date(this.#nowMs() - (days - 1) * 86_400_000).toISOString().slice(0, 10)
    const where = 'scope = $1 and ($2::text is null or path = $2)'
    const [all, perDay, top] = await Promise.all([
      this.#pool.query<{ sum: string; last: Date | null }>(
        `select coalesce(sum(count), 0) as sum, max(last_at) as last from download where ${where}`,
        [scope, path ?? null],
      ),
      this.#pool.query<{ day: string; sum: string }>(
        `select to_char(day, 'YYYY-MM-DD') as day, sum(count) as sum from download where ${where} and day >= $3 group by download.day order by download.day`,
        [scope, path ?? null, since],
      ),
      this.#pool.query<{ path: string; sum: string }>(
        `select path, sum(count) as sum from download where ${where} and day >= $3 group by path order by sum(count) desc, path limit ${TOP}`,
        [scope, path ?? null, since],
      ),
    ])
    return {
      total: Number(all.rows[0]?.sum ?? 0),
      lastAt: all.rows[0]?.last?.toISOString(),
      days: perDay.rows.map(({ day, sum }) => ({ day, count: Number(sum) })),
      top: top.rows.map(({ path: one, sum }) => ({ path: one, count: Number(sum) })),
    }
  }

  async #write(batch: Pending[], at: string): Promise<void> {
    await this.#pool.query({
      name: 'download_flush',
      text: `insert into download as now (scope, path, day, count, last_at)
             select s, p, ($4::timestamptz at time zone 'UTC')::date, c, $4::timestamptz from unnest($1::text[], $2::text[], $3::bigint[]) as t(s, p, c)
             on conflict (scope, path, day) do update set count = now.count + excluded.count, last_at = greatest(now.last_at, excluded.last_at)`,
      values: [batch.map((one) => one.scope), batch.map((one) => one.path), batch.map((one) => one.count), at],
    })
  }
}
