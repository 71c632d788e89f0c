/**
 * Sessions: a short token that every node can check (a replicated record), and a refresh token that only the primary knows,
 * hashed. Each refresh rotates both; a refresh token that comes a second time ends all that descends from the same login.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type pg from 'pg'
import { newToken } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Step, TokenRecord, UserRecord } from '../../protocol/records.js'
import { type Directory, dropToken } from './directory.js'

export interface Session {
  user: UserRecord
  accessToken: string
  refreshToken: string
  /** Seconds until the access token ends. */
  expiresIn: number
}

const SESSION_SECONDS = 3600
const REFRESH_MS = 30 * 86_400_000
const REFRESH_BYTES = 32
const SWEEP_STEPS = 500

interface RefreshRow {
  family: string
  user_name: string
  access_id: string
}

export class Sessions {
  readonly #pool: pg.Pool
  readonly #directory: Directory
  readonly #nowMs: () => number

  constructor(pool: pg.Pool, directory: Directory, nowMs: () => number) {
    this.#pool = pool
    this.#directory = directory
    this.#nowMs = nowMs
  }

  /** For a user whose password was checked. Call it within the directory's turn. */
  open(user: UserRecord): Promise<Session> {
    return this.#issue(user, randomUUID(), [])
  }

  /** Throws `unauthenticated` for a refresh token that is unknown, expired or used before. */
  async refresh(refreshToken: string): Promise<Session> {
    const hash = sha256(refreshToken)
    const row = await this.#use(hash)
    if (!row) {
      await this.#endReused(hash)
      throw new RegistryError('unauthenticated', 'The session has ended; log in again', { code: 'session_ended' })
    }
    return this.#directory.turn.run(async () => {
      const user = this.#directory.user(row.user_name)
      if (!user || user.disabled || !(await this.#lives(row.family)))
        throw new RegistryError('unauthenticated', 'The session has ended; log in again', { code: 'session_ended' })
      return this.#issue(user, row.family, this.#directory.token(row.access_id) ? [dropToken(row.access_id)] : [])
    })
  }

  /** Ends the session that an access token belongs to, and the one that a refresh token belongs to. */
  async close(accessId: string | undefined, refreshToken: string | undefined): Promise<void> {
    const { rows } = await this.#pool.query<{ family: string }>(
      'select distinct family from refresh_token where access_id = $1 or hash = $2',
      [accessId ?? '', refreshToken === undefined ? '' : sha256(refreshToken)],
    )
    for (const { family } of rows) await this.#endFamily(family)
    const token = accessId === undefined ? undefined : this.#directory.token(accessId)
    if (token?.use === 'session') await this.#drop([token.id], token.user)
  }

  /** Ends all sessions of a user, the console's too. Call it within the directory's turn; returns what is to be committed. */
  async closeAll(user: string): Promise<Step[]> {
    await this.#pool.query('delete from refresh_token where user_name = $1', [user])
    await this.#pool.query('delete from console_session where user_name = $1', [user])
    return this.#directory
      .tokensOf(user)
      .filter((token) => token.use === 'session')
      .map((token) => dropToken(token.id))
  }

  /** Removes what has expired. Returns how many access tokens went. */
  async sweep(): Promise<number> {
    const now = new Date(this.#nowMs()).toISOString()
    await this.#pool.query('delete from refresh_token where expires_at <= $1', [now])
    const expired = this.#directory
      .all('token')
      .filter((token) => token.use !== 'api' && (token.expiresAt ?? '') <= now)
    for (let i = 0; i < expired.length; i += SWEEP_STEPS)
      await this.#drop(
        expired.slice(i, i + SWEEP_STEPS).map((token) => token.id),
        'cairn',
      )
    return expired.length
  }

  async #issue(user: UserRecord, family: string, before: Step[]): Promise<Session> {
    const { value, id, hash } = newToken()
    const refreshToken = randomBytes(REFRESH_BYTES).toString('base64url')
    const now = this.#nowMs()
    const token: TokenRecord = {
      id,
      hash,
      name: 'session',
      user: user.name,
      scopes: ['*'],
      createdAt: new Date(now).toISOString(),
      expiresAt: new Date(now + SESSION_SECONDS * 1000).toISOString(),
      use: 'session',
    }
    await this.#pool.query(
      'insert into refresh_token (hash, family, user_name, access_id, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)',
      [sha256(refreshToken), family, user.name, id, token.createdAt, new Date(now + REFRESH_MS).toISOString()],
    )
    await this.#directory.commit([...before, { kind: 'access', subject: 'token', id, record: token }], user.name)
    return { user, accessToken: value, refreshToken, expiresIn: SESSION_SECONDS }
  }

  /** Marks it used, if it can be: of two who send the same one, exactly one gets it. */
  async #use(hash: string): Promise<RefreshRow | undefined> {
    const { rows } = await this.#pool.query<RefreshRow>(
      'update refresh_token set used_at = $2 where hash = $1 and used_at is null and expires_at > $2 returning family, user_name, access_id',
      [hash, new Date(this.#nowMs()).toISOString()],
    )
    return rows[0]
  }

  async #lives(family: string): Promise<boolean> {
    const { rows } = await this.#pool.query('select 1 from refresh_token where family = $1 limit 1', [family])
    return rows.length > 0
  }

  async #endReused(hash: string): Promise<void> {
    const { rows } = await this.#pool.query<{ family: string }>(
      'select family from refresh_token where hash = $1 and used_at is not null',
      [hash],
    )
    if (rows[0]) await this.#endFamily(rows[0].family)
  }

  /** Within the turn, so that a refresh that is under way is either seen here or sees that its family is gone. */
  #endFamily(family: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const { rows } = await this.#pool.query<RefreshRow>(
        'delete from refresh_token where family = $1 returning user_name, access_id',
        [family],
      )
      const steps = rows.filter((row) => this.#directory.token(row.access_id)).map((row) => dropToken(row.access_id))
      if (steps.length > 0) await this.#directory.commit(steps, rows[0]?.user_name ?? 'cairn')
    })
  }

  #drop(ids: string[], by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const steps = ids.filter((id) => this.#directory.token(id)).map(dropToken)
      if (steps.length > 0) await this.#directory.commit(steps, by)
    })
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
