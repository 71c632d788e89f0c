/**
 * The second factor of a local account: codes of an authenticator (TOTP, RFC 6238). A code is good once, also when it is sent
 * many times at the same moment: the database decides. Secrets are sealed.
 */
import { randomBytes } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import type pg from 'pg'
import type { NewFactor } from '../../admin/console.js'
import { RegistryError } from '../../protocol/errors.js'
import { seal, unseal } from '../upstream/credentials.js'
import type { RecoveryCodes } from './recovery-codes.js'

const SECRET_BYTES = 20
/** Time steps before and after the present one whose codes are taken. */
const WINDOW = 1

export class SecondFactor {
  readonly #pool: pg.Pool
  readonly #key: Uint8Array
  readonly #codes: RecoveryCodes
  readonly #nowMs: () => number

  constructor(pool: pg.Pool, key: Uint8Array, codes: RecoveryCodes, nowMs: () => number) {
    this.#pool = pool
    this.#key = key
    this.#codes = codes
    this.#nowMs = nowMs
  }

  async has(user: string): Promise<boolean> {
    const { rows } = await this.#pool.query({
      name: 'totp_in_force',
      text: 'select 1 from totp where user_name = $1 and in_force',
      values: [user],
    })
    return rows.length > 0
  }

  /** A new secret, in force once `confirm` has seen a code of it. Throws `conflict` while there is one in force. */
  async begin(user: string): Promise<NewFactor> {
    const secret = new Secret({ buffer: new Uint8Array(randomBytes(SECRET_BYTES)).buffer })
    const { rowCount } = await this.#pool.query(
      `insert into totp (user_name, sealed) values ($1, $2)
       on conflict (user_name) do update set sealed = excluded.sealed, step = 0 where not totp.in_force`,
      [user, seal(this.#key, scopeOf(user), secret.base32)],
    )
    if (rowCount === 0) throw new RegistryError('conflict', 'There is a second factor already; turn it off first')
    return { secret: secret.base32, uri: new TOTP({ issuer: 'Cairn', label: user, secret }).toString() }
  }

  /** Returns recovery codes, to be shown this once; undefined for a code that is wrong. */
  async confirm(user: string, code: string): Promise<string[] | undefined> {
    return (await this.#useCode(user, code, false)) ? this.#codes.renew(user) : undefined
  }

  /** Is it a code of the authenticator, or a recovery code, that was not used yet. Uses it up. */
  async use(user: string, code: string): Promise<boolean> {
    if (/^\d{6}$/.test(code.replaceAll(' ', ''))) return this.#useCode(user, code, true)
    return this.#codes.use(user, code)
  }

  /** false: there was none. */
  async remove(user: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query('delete from totp where user_name = $1', [user])
    await this.#codes.dropUnneeded(user)
    return (rowCount ?? 0) > 0
  }

  async #useCode(user: string, code: string, inForce: boolean): Promise<boolean> {
    const { rows } = await this.#pool.query<{ sealed: Buffer }>(
      'select sealed from totp where user_name = $1 and in_force = $2',
      [user, inForce],
    )
    const sealed = rows[0]?.sealed
    if (!sealed) return false
    const secret = Secret.fromBase32(unseal(this.#key, scopeOf(user), sealed))
    const timestamp = this.#nowMs()
    const delta = TOTP.validate({ token: code.replaceAll(' ', ''), secret, timestamp, window: WINDOW })
    if (delta === null) return false
    const { rowCount } = await this.#pool.query(
      'update totp set step = $2, in_force = true where user_name = $1 and step < $2 and in_force = $3 and sealed = $4',
      [user, TOTP.counter({ timestamp }) + delta, inForce, sealed],
    )
    return rowCount === 1
  }
}

function scopeOf(user: string): string {
  return `totp ${user}`
}
