/**
 * Passkeys (WebAuthn level 3) of accounts whose password is here: a way into the console without the password, also where a
 * second factor is asked for, since the authenticator verifies the person. Only public keys are kept. A passkey belongs to one
 * host name, and to the account as it was made: not to a later one of the same name.
 */
import { createHmac } from 'node:crypto'
import { isIP } from 'node:net'
import {
  type AuthenticationResponseJSON,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server'
import { decodeClientDataJSON } from '@simplewebauthn/server/helpers'
import type pg from 'pg'
import { z } from 'zod'
import type { PasskeyCard } from '../../admin/console.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { UserRecord } from '../../protocol/records.js'
import { Once } from '../identity/once.js'
import { seal, unseal } from '../upstream/credentials.js'
import type { ConsoleSessions } from './console.js'
import type { Directory } from './directory.js'
import type { RecoveryCodes } from './recovery-codes.js'

export interface PasskeysParts {
  pool: Pick<pg.Pool, 'query'>
  directory: Directory
  console: ConsoleSessions
  codes: RecoveryCodes
  /** Seals challenges. */
  key: Uint8Array
  nowMs: () => number
}

interface Row {
  id: string
  user_name: string
  public_key: Buffer
  counter: string
  name: string
  created_at: Date
  used_at: Date | null
}

/** How a session was opened that a passkey opened. */
const BY_PASSKEY = 'passkey'
const CHALLENGE_MS = 5 * 60_000
const MOST_OF_A_USER = 20
const NAME_CHARACTERS = 60
/** Of a response, in characters. */
const MAX_RESPONSE = 16_384

const responseShape = z.looseObject({
  id: z.string().min(1).max(1400),
  response: z.looseObject({ clientDataJSON: z.string(), userHandle: z.string().optional() }),
})
type Answer = z.output<typeof responseShape>

interface Asked {
  challenge: string
  untilMs: number
}

export class Passkeys {
  readonly #parts: PasskeysParts
  readonly #once: Once

  constructor(parts: PasskeysParts) {
    this.#parts = parts
    this.#once = new Once(parts.pool)
  }

  async has(user: string): Promise<boolean> {
    const { rows } = await this.#parts.pool.query({
      name: 'passkey_of',
      text: 'select 1 from passkey where user_name = $1 limit 1',
      values: [user],
    })
    return rows.length > 0
  }

  /** In the order of their making. */
  async list(user: string): Promise<PasskeyCard[]> {
    const { rows } = await this.#parts.pool.query<Row>(
      'select * from passkey where user_name = $1 order by created_at, id',
      [user],
    )
    return rows.map(({ id, name, created_at, used_at }) => ({
      id,
      name,
      createdAt: created_at.toISOString(),
      usedAt: used_at?.toISOString(),
    }))
  }

  /** What a browser needs to make one. Throws `conflict` when the user has many, and `forbidden` when the password is elsewhere. */
  async beginNew(user: UserRecord, origin: string): Promise<object> {
    const rpID = siteOf(origin)
    const known = await this.#demandRoom(user.name)
    return generateRegistrationOptions({
      rpName: 'Cairn',
      rpID,
      userName: user.name,
      userID: new Uint8Array(this.#handle(user)),
      challenge: this.#challenge(making(user)),
      timeout: CHALLENGE_MS,
      attestationType: 'none',
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      excludeCredentials: known.map(({ id }) => ({ id })),
    })
  }

  /**
   * Takes what the browser made, as JSON text. Returns recovery codes where the user had none, to be shown once; throws
   * `unauthenticated` for a response that does not answer what was asked a moment ago.
   */
  add({ name: user }: UserRecord, origin: string, response: string, name: string): Promise<string[] | undefined> {
    return this.#parts.directory.turn.run(async () => {
      const { directory, pool, codes } = this.#parts
      const account = directory.user(user)
      if (!account) throw refused()
      await this.#demandRoom(user)
      const given = parsed(response)
      const asked = this.#asked(given, making(account))
      const { registrationInfo: made } = await verifyRegistrationResponse({
        response: given as unknown as RegistrationResponseJSON,
        expectedChallenge: asked.challenge,
        expectedOrigin: origin,
        expectedRPID: siteOf(origin),
      }).catch(refuse)
      if (!made || !(await this.#firstUse(asked))) throw refused()
      const { id, publicKey, counter } = made.credential
      const { rowCount } = await pool.query(
        `insert into passkey (id, user_name, public_key, counter, name, created_at) values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing`,
        [id, user, Buffer.from(publicKey), counter, shortened(name), this.#now()],
      )
      if (rowCount === 0) throw refused()
      await directory.touch(account)
      return (await codes.has(user)) ? undefined : codes.renew(user)
    })
  }

  /** What a browser needs to use one, whosever it is. */
  begin(origin: string): Promise<object> {
    return generateAuthenticationOptions({
      rpID: siteOf(origin),
      challenge: this.#challenge(USING),
      timeout: CHALLENGE_MS,
      userVerification: 'required',
    })
  }

  /** Whose passkey a response claims to come from; undefined: nobody's. */
  async claimed(response: string): Promise<string | undefined> {
    const { data } = responseShape.safeParse(jsonOf(response))
    return data && (await this.#row(data.id))?.user_name
  }

  /** Logs the passkey's owner in, against what the browser answered. Throws `unauthenticated`, always in the same words. */
  enter(request: HttpRequest, response: string, next: string): Promise<Reply> {
    return this.#parts.directory.turn.run(async () => {
      const { id, user } = await this.#use(request.origin, response)
      return this.#parts.console.open(user, request, { method: BY_PASSKEY, next, providerSession: id })
    })
  }

  /** Ends the sessions that it opened, too. false: the user has no such passkey. */
  remove(user: string, id: string): Promise<boolean> {
    return this.#parts.directory.turn.run(async () => {
      const { pool, directory, console, codes } = this.#parts
      const { rowCount } = await pool.query('delete from passkey where user_name = $1 and id = $2', [user, id])
      if (rowCount !== 1) return false
      await console.endOpenedBy(user, { method: BY_PASSKEY, providerSession: id })
      await codes.dropUnneeded(user)
      const account = directory.user(user)
      if (account) await directory.touch(account)
      return true
    })
  }

  /** With their user. */
  async removeAll(user: string): Promise<void> {
    await this.#parts.pool.query('delete from passkey where user_name = $1', [user])
  }

  async #use(origin: string, response: string): Promise<{ id: string; user: UserRecord }> {
    const given = parsed(response)
    const row = await this.#row(given.id)
    const user = row && this.#parts.directory.user(row.user_name)
    if (!row || !user || given.response.userHandle !== this.#handle(user).toString('base64url')) throw refused()
    const asked = this.#asked(given, USING)
    const { verified, authenticationInfo: used } = await verifyAuthenticationResponse({
      response: given as unknown as AuthenticationResponseJSON,
      expectedChallenge: asked.challenge,
      expectedOrigin: origin,
      expectedRPID: siteOf(origin),
      // What was counted is compared below, where two uses at once cannot both be the next one.
      credential: { id: row.id, publicKey: new Uint8Array(row.public_key), counter: 0 },
    }).catch(refuse)
    if (!verified || !(await this.#firstUse(asked)) || !(await this.#hasPassword(user.name))) throw refused()
    const { rowCount } = await this.#parts.pool.query(
      'update passkey set counter = $2, used_at = $3 where id = $1 and (counter < $2 or (counter = 0 and $2 = 0))',
      [row.id, used.newCounter, this.#now()],
    )
    if (rowCount !== 1) throw refused('passkey_copied')
    return { id: row.id, user }
  }

  async #row(id: string): Promise<Row | undefined> {
    const { rows } = await this.#parts.pool.query<Row>('select * from passkey where id = $1', [id])
    return rows[0]
  }

  async #demandRoom(user: string): Promise<PasskeyCard[]> {
    if (!(await this.#hasPassword(user)))
      throw new RegistryError('forbidden', 'This account logs in elsewhere: its passkeys are kept there')
    const known = await this.list(user)
    if (known.length >= MOST_OF_A_USER)
      throw new RegistryError('conflict', `You have ${MOST_OF_A_USER} passkeys; remove one first`)
    return known
  }

  /** Who logs in elsewhere is turned away there, so nothing here may let such a user in. */
  async #hasPassword(user: string): Promise<boolean> {
    const { rows } = await this.#parts.pool.query('select 1 from password where user_name = $1', [user])
    return rows.length > 0
  }

  /** What authenticators know the account by. It tells nobody the name. */
  #handle({ name, createdAt }: UserRecord): Buffer {
    return createHmac('sha256', this.#parts.key).update(`passkey user\0${name}\0${createdAt}`).digest()
  }

  #challenge(purpose: string): Uint8Array<ArrayBuffer> {
    const { key, nowMs } = this.#parts
    return new Uint8Array(seal(key, purpose, String(nowMs() + CHALLENGE_MS)))
  }

  /** What a response says that it was asked. Throws unless it was, here, for this purpose and lately. */
  #asked({ response }: Answer, purpose: string): Asked {
    try {
      const { challenge } = decodeClientDataJSON(response.clientDataJSON)
      const untilMs = Number(unseal(this.#parts.key, purpose, Buffer.from(challenge, 'base64url')))
      if (untilMs > this.#parts.nowMs()) return { challenge, untilMs }
    } catch {
      // Neither JSON nor sealed here.
    }
    throw refused()
  }

  #firstUse({ challenge, untilMs }: Asked): Promise<boolean> {
    return this.#once.use(BY_PASSKEY, challenge, untilMs)
  }

  #now(): string {
    return new Date(this.#parts.nowMs()).toISOString()
  }
}

const USING = 'passkey/use'

function making({ name }: UserRecord): string {
  return `passkey/new/${name}`
}

/** The relying party's id. Throws `invalid` where browsers have no passkeys: at an address, and at a host that speaks plain http. */
function siteOf(origin: string): string {
  const { protocol, hostname } = new URL(origin)
  const named = isIP(hostname.replace(/^\[|\]$/g, '')) === 0
  if (named && (protocol === 'https:' || hostname === 'localhost')) return hostname
  throw new RegistryError('invalid', 'Passkeys need https and a host name (CAIRN_PUBLIC_URLS)', { code: 'insecure' })
}

function parsed(response: string): Answer {
  const { data } = responseShape.safeParse(jsonOf(response))
  if (!data) throw refused()
  return data
}

function jsonOf(text: string): unknown {
  if (text.length > MAX_RESPONSE) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function shortened(name: string): string {
  return (
    name
      .replace(/\p{Cc}/gu, '')
      .trim()
      .slice(0, NAME_CHARACTERS) || 'passkey'
  )
}

/** What the library says of a response that it does not take is for nobody. */
function refuse(): never {
  throw refused()
}

function refused(code = 'passkey_refused'): RegistryError {
  return new RegistryError('unauthenticated', 'The passkey was not accepted', { code })
}
