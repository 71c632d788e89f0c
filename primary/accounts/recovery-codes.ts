/** Codes for who lost what proves them besides the password: hashed, each good once, there while the account has a second factor. */
import { createHash, randomBytes } from 'node:crypto'
import { Secret } from 'otpauth'
import type pg from 'pg'

const RECOVERY_CODES = 10
const RECOVERY_BYTES = 10

export class RecoveryCodes {
  readonly #pool: Pick<pg.Pool, 'query'>

  constructor(pool: Pick<pg.Pool, 'query'>) {
    this.#pool = pool
  }

  async has(user: string): Promise<boolean> {
    const { rows } = await this.#pool.query('select 1 from recovery_code where user_name = $1 limit 1', [user])
    return rows.length > 0
  }

  /** New ones in the place of all before, to be shown this once. */
  async renew(user: string): Promise<string[]> {
    const codes = Array.from({ length: RECOVERY_CODES }, recoveryCode)
    await this.#pool.query(
      `with gone as (delete from recovery_code where user_name = $1)
       insert into recovery_code (user_name, hash) select $1, unnest($2::text[])`,
      [user, codes.map(recoveryHash)],
    )
    return codes
  }

  /** Is it one. Uses it up. */
  async use(user: string, code: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query('delete from recovery_code where user_name = $1 and hash = $2', [
      user,
      recoveryHash(code),
    ])
    return rowCount === 1
  }

  /** They go with the last factor that they stand in for. */
  async dropUnneeded(user: string): Promise<void> {
    await this.#pool.query(
      `delete from recovery_code where user_name = $1
       and not exists (select 1 from totp where user_name = $1 and in_force)
       and not exists (select 1 from passkey where user_name = $1)`,
      [user],
    )
  }
}

/** 80 bits, as four groups of four. */
function recoveryCode(): string {
  const text = new Secret({ buffer: new Uint8Array(randomBytes(RECOVERY_BYTES)).buffer }).base32.toLowerCase()
  return text.replace(/(.{4})(?!$)/g, '$1-')
}

function recoveryHash(code: string): string {
  return createHash('sha256')
    .update(code.toLowerCase().replace(/[^a-z2-7]/g, ''))
    .digest('hex')
}
