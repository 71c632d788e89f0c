/**
 * API tokens. Their text is given out once and stored nowhere; a token never makes one that can do more or lives longer. A token that
 * is rotated gets a successor that may do the same, and ends itself a while later, so that whoever uses it has time to change.
 */
import { randomUUID } from 'node:crypto'
import { isScope, scopesWithin } from '../../protocol/access/scope.js'
import { isTokenText, newToken, tokenHash, tokenId } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Principal } from '../../protocol/ports.js'
import type { Step, TokenRecord, UserRecord } from '../../protocol/records.js'
import type { TokenLifetime } from '../../protocol/settings.js'
import { type Directory, dropToken } from './directory.js'

export interface TokenDraft {
  name: string
  scopes: string[]
  /** null: for ever; undefined: as long as tokens last here. */
  expiresInDays?: number | null | undefined
}

export interface Rotation {
  /** How long the old value works on. */
  overlapMinutes: number
  /** undefined: as long as the old one was made for. */
  expiresInDays?: number | null | undefined
}

export const MAX_TOKEN_DAYS = 3650
export const MAX_OVERLAP_MINUTES = 43_200
/** For what makes tokens itself and looks after them. */
export const FOR_EVER: TokenLifetime = { days: null, mostDays: undefined }
const MAX_TOKENS = 1000
const MAX_SCOPES = 50
const MAX_NAME_CHARACTERS = 100
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

export class Tokens {
  readonly #directory: Directory
  readonly #lifetime: TokenLifetime
  readonly #nowMs: () => number

  constructor(directory: Directory, lifetime: TokenLifetime, nowMs: () => number) {
    this.#directory = directory
    this.#lifetime = lifetime
    this.#nowMs = nowMs
  }

  /** Newest first; sessions are not among them. */
  list(user: string): TokenRecord[] {
    const tokens = this.#directory.tokensOf(user).filter((token) => token.use === 'api')
    return tokens.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  }

  /** `owner`: whom it speaks for, the principal's own user unless it is a service account that the principal keeps. */
  async create(
    principal: Principal,
    draft: TokenDraft,
    owner: UserRecord | undefined = principal.user,
    lifetime = this.#lifetime,
  ): Promise<{ value: string; token: TokenRecord }> {
    if (!owner) throw new RegistryError('unauthenticated', 'Only a user can make a token')
    checkDraft(draft)
    const days = daysWithin(draft.expiresInDays, lifetime)
    const held = principal.token
    refuseStronger(draft.scopes, held)
    return this.#directory.turn.run(async () => {
      if (this.list(owner.name).length >= MAX_TOKENS)
        throw new RegistryError('conflict', `${owner.name} has ${MAX_TOKENS} tokens already; revoke some first`)
      const scopes = [...new Set(draft.scopes)]
      const { value, token } = this.#make({ name: draft.name, user: owner.name, scopes }, days, held)
      await this.#directory.commit([write(token), ...this.#inherited([held], token)], principal.name)
      return { value, token }
    })
  }

  /** Throws `missing` for what is not there or not the owner's, `conflict` for one that has expired. */
  async rotate(
    principal: Principal,
    id: string,
    { overlapMinutes, expiresInDays }: Rotation,
    owner: string | undefined = principal.user?.name,
  ): Promise<{ value: string; token: TokenRecord }> {
    return this.#directory.turn.run(async () => {
      const before = this.#directory.token(id)
      if (before?.use !== 'api' || before.user !== owner) throw new RegistryError('missing', 'You have no such token')
      const held = principal.token
      refuseOthers(principal, before)
      refuseStronger(before.scopes, held)
      const now = this.#nowMs()
      const endMs = before.expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(before.expiresAt)
      if (endMs <= now) throw new RegistryError('conflict', 'The token has expired; make a new one')
      const madeFor = before.expiresAt === undefined ? null : daysBetween(before.createdAt, before.expiresAt)
      const days =
        expiresInDays === undefined ? shortened(madeFor, this.#lifetime) : daysWithin(expiresInDays, this.#lifetime)
      const { value, token } = this.#make({ name: before.name, user: before.user, scopes: before.scopes }, days, held)
      const until = new Date(Math.min(endMs, now + overlapMinutes * MINUTE_MS)).toISOString()
      const old = overlapMinutes === 0 ? dropToken(id) : write({ ...before, expiresAt: until })
      await this.#directory.commit([write(token), old, ...this.#inherited([before, held], token)], principal.name)
      return { value, token }
    })
  }

  /** `idOrValue`: a record's id or the token itself. Returns false for what is not there or is somebody else's. */
  revoke(
    principal: Principal,
    idOrValue: string,
    administrator: boolean,
    owner: string | undefined = principal.user?.name,
  ): Promise<boolean> {
    const id = isTokenText(idOrValue) ? tokenId(tokenHash(idOrValue)) : idOrValue
    return this.#directory.turn.run(async () => {
      const token = this.#directory.token(id)
      if (!token || !(token.user === owner || administrator)) return false
      if (!administrator) refuseOthers(principal, token)
      await this.#directory.commit([dropToken(id)], principal.name)
      return true
    })
  }

  #make(
    of: Pick<TokenRecord, 'name' | 'user' | 'scopes'>,
    days: number | null,
    held: TokenRecord | undefined,
  ): { value: string; token: TokenRecord } {
    const { value, id, hash } = newToken()
    const expiresAt = this.#expiry(days, held)
    const createdAt = new Date(this.#nowMs()).toISOString()
    return {
      value,
      token: { id, hash, ...of, createdAt, ...(expiresAt === undefined ? {} : { expiresAt }), use: 'api' },
    }
  }

  /** What a token is forbidden by itself, its successor and those that it makes are, too. */
  #inherited(from: readonly (TokenRecord | undefined)[], { id: to }: TokenRecord): Step[] {
    const forebears = new Set(from.map((token) => token?.id))
    return this.#directory
      .all('grant')
      .filter(({ subject }) => subject.kind === 'token' && forebears.has(subject.name))
      .map((grant) => {
        const record = { ...grant, id: randomUUID(), subject: { kind: 'token' as const, name: to } }
        return { kind: 'access', subject: 'grant', id: record.id, record }
      })
  }

  /** What a token makes ends with it at the latest; a session is how people make lasting ones. */
  #expiry(days: number | null, held: TokenRecord | undefined): string | undefined {
    const asked = days === null ? undefined : new Date(this.#nowMs() + days * DAY_MS).toISOString()
    const cap = held && held.use !== 'session' ? held.expiresAt : undefined
    if (cap === undefined) return asked
    return asked === undefined || asked > cap ? cap : asked
  }
}

function write(token: TokenRecord): Step {
  return { kind: 'access', subject: 'token', id: token.id, record: token }
}

/** Of its user's tokens a narrowed one ends only itself. */
function refuseOthers({ user, token: held }: Principal, token: TokenRecord): void {
  const narrowed = held !== undefined && !held.scopes.includes('*')
  if (narrowed && token.user === user?.name && token.id !== held.id)
    throw new RegistryError('forbidden', 'A narrowed token can revoke or rotate only itself')
}

function refuseStronger(scopes: readonly string[], held: TokenRecord | undefined): void {
  if (held && !scopesWithin(scopes, held.scopes))
    throw new RegistryError('forbidden', 'A token cannot make one that may do more than itself', {
      code: 'scope_exceeded',
    })
}

/** Throws `invalid` for more than this system lets tokens last. */
function daysWithin(asked: number | null | undefined, { days, mostDays }: TokenLifetime): number | null {
  const given = asked === undefined ? days : asked
  if (mostDays !== undefined && (given ?? Number.POSITIVE_INFINITY) > mostDays)
    throw new RegistryError('invalid', `Here a token lasts at most ${mostDays} days`, { code: 'token_lasts_too_long' })
  return given
}

function shortened(days: number | null, { mostDays }: TokenLifetime): number | null {
  return mostDays === undefined ? days : Math.min(days ?? mostDays, mostDays)
}

function daysBetween(from: string, to: string): number {
  return Math.max(1, Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS))
}

function checkDraft({ name, scopes, expiresInDays }: TokenDraft): void {
  if (name.trim() === '' || name.length > MAX_NAME_CHARACTERS || /\p{Cc}/u.test(name))
    throw new RegistryError('invalid', `A token's name has 1 to ${MAX_NAME_CHARACTERS} printable characters`)
  if (scopes.length === 0 || scopes.length > MAX_SCOPES)
    throw new RegistryError('invalid', `A token has 1 to ${MAX_SCOPES} scopes; "*" is everything that you may do`)
  const odd = scopes.find((scope) => !isScope(scope))
  if (odd !== undefined)
    throw new RegistryError(
      'invalid',
      `"${odd.slice(0, 80)}" is no scope: use *, or read, write, delete, admin or audit, then :pattern or :pattern/path if you like`,
    )
  const days = expiresInDays ?? 1
  if (!Number.isInteger(days) || days < 1 || days > MAX_TOKEN_DAYS)
    throw new RegistryError('invalid', `A token lasts 1 to ${MAX_TOKEN_DAYS} days`)
}
