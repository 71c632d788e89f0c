/**
 * Passkeys (WebAuthn level 3): a way into the console without a password, bound to this site, with the person verified by the
 * authenticator, so no second factor follows. A challenge is signed once; only public keys are kept.
 */
import { isIP } from 'node:net'
import {
  type AuthenticationResponseJSON,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server'
import type pg from 'pg'
import { z } from 'zod'
import type { PasskeyCard } from '../../admin/console.js'
import { RegistryError } from '../../protocol/errors.js'

interface Row {
  id: string
  user_name: string
  public_key: Buffer
  counter: string
  name: string
  created_at: Date
  used_at: Date | null
}

const CHALLENGE_MS = 5 * 60_000
const MOST_OF_A_USER = 20
const NAME_CHARACTERS = 60
/** Of a response, in characters. */
const MAX_RESPONSE = 16_384

const base = z.object({ id: z.string().max(1024), rawId: z.string().max(1024), type: z.literal('public-key') })
const responseShape = base.extend({
  response: z.looseObject({ clientDataJSON: z.string().max(4096) }),
  clientExtensionResults: z.looseObject({}).default({}),
})

export class Passkeys {
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #nowMs: () => number

  constructor(pool: Pick<pg.Pool, 'query'>, nowMs: () => number) {
    this.#pool = pool
    this.#nowMs = nowMs
  }

  /** What a browser needs to make one for the user. Throws `conflict` when the user has many. */
  async beginNew(user: string, origin: string): Promise<object> {
    const known = await this.list(user)
    if (known.length >= MOST_OF_A_USER)
      throw new RegistryError('conflict', `You have ${MOST_OF_A_USER} passkeys; remove one first`)
    const options = await generateRegistrationOptions({
      rpName: 'Cairn',
      rpID: siteOf(origin),
      userName: user,
      userID: new Uint8Array(Buffer.from(user)),
      attestationType: 'none',
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      excludeCredentials: known.map(({ id }) => ({ id })),
    })
    await this.#remember(options.challenge, user)
    return options
  }

  /** Throws `invalid` for a response that does not answer what was asked a moment ago. */
  async add(user: string, origin: string, response: string, name: string): Promise<void> {
    const given = parsed(response) as unknown as RegistrationResponseJSON
    const verified = await verifyRegistrationResponse({
      response: given,
      expectedChallenge: (challenge) => this.#use(challenge, user),
      expectedOrigin: origin,
      expectedRPID: siteOf(origin),
      requireUserVerification: true,
    }).catch(refuse)
    if (!verified.verified) throw wrong()
    const { id, publicKey, counter } = verified.registrationInfo.credential
    await this.#pool.query(
      'insert into passkey (id, user_name, public_key, counter, site, name, created_at) values ($1, $2, $3, $4, $5, $6, $7)',
      [id, user, Buffer.from(publicKey), counter, siteOf(origin), shortened(name), this.#now()],
    )
  }

  /** What a browser needs to use one, whosever it is. */
  async begin(origin: string): Promise<object> {
    const options = await generateAuthenticationOptions({ rpID: siteOf(origin), userVerification: 'required' })
    await this.#remember(options.challenge, null)
    return options
  }

  /** Whose passkey it is. Throws `unauthenticated`, always in the same words. */
  async use(origin: string, response: string): Promise<string> {
    const given = parsed(response) as unknown as AuthenticationResponseJSON
    const { rows } = await this.#pool.query<Row>('select * from passkey where id = $1 and site = $2', [
      given.id,
      siteOf(origin),
    ])
    const row = rows[0]
    if (!row) throw wrong()
    const { id, public_key: key } = row
    const verified = await verifyAuthenticationResponse({
      response: given,
      expectedChallenge: (challenge) => this.#use(challenge, null),
      expectedOrigin: origin,
      expectedRPID: siteOf(origin),
      credential: { id, publicKey: new Uint8Array(key), counter: Number(row.counter) },
      requireUserVerification: true,
    }).catch(refuse)
    if (!verified.verified) throw wrong()
    await this.#pool.query('update passkey set counter = $2, used_at = $3 where id = $1', [
      id,
      verified.authenticationInfo.newCounter,
      this.#now(),
    ])
    return row.user_name
  }

  /** In order of their making. */
  async list(user: string): Promise<PasskeyCard[]> {
    const { rows } = await this.#pool.query<Row>('select * from passkey where user_name = $1 order by created_at, id', [
      user,
    ])
    return rows.map(({ id, name, created_at, used_at }) => ({
      id,
      name,
      createdAt: created_at.toISOString(),
      usedAt: used_at?.toISOString(),
    }))
  }

  /** false: the user has no such passkey. */
  async remove(user: string, id: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query('delete from passkey where user_name = $1 and id = $2', [user, id])
    return rowCount === 1
  }

  /** With their user. */
  async removeAll(user: string): Promise<void> {
    await this.#pool.query('delete from passkey where user_name = $1', [user])
  }

  async sweep(): Promise<void> {
    await this.#pool.query('delete from passkey_challenge where expires_at <= $1', [this.#now()])
  }

  async #remember(challenge: string, user: string | null): Promise<void> {
    await this.#pool.query('insert into passkey_challenge (challenge, user_name, expires_at) values ($1, $2, $3)', [
      challenge,
      user,
      new Date(this.#nowMs() + CHALLENGE_MS).toISOString(),
    ])
  }

  /** Once. */
  async #use(challenge: string, user: string | null): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      'delete from passkey_challenge where challenge = $1 and user_name is not distinct from $2 and expires_at > $3',
      [challenge, user, this.#now()],
    )
    return rowCount === 1
  }

  #now(): string {
    return new Date(this.#nowMs()).toISOString()
  }
}

/** The relying party's id. Authenticators know sites by name only. Throws `invalid` for an address. */
function siteOf(origin: string): string {
  const { hostname } = new URL(origin)
  if (isIP(hostname.replace(/^\[|\]$/g, '')) === 0) return hostname
  throw new RegistryError('invalid', 'Passkeys need a host name: this page was opened by an address')
}

function parsed(response: string): z.output<typeof responseShape> {
  if (response.length > MAX_RESPONSE) throw wrong()
  try {
    return responseShape.parse(JSON.parse(response))
  } catch {
    throw wrong()
  }
}

function shortened(name: string): string {
  return name.replace(/\p{Cc}/gu, '').trim().slice(0, NAME_CHARACTERS) || 'passkey'
}

/** What the library says of a response it does not take is for nobody; a fault of our own is passed on. */
function refuse(error: unknown): never {
  if (error instanceof Error && 'severity' in error) throw error
  throw wrong()
}

function wrong(): RegistryError {
  return new RegistryError('unauthenticated', 'The passkey was not accepted', { code: 'passkey_refused' })
}
