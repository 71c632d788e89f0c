/** API tokens. Their text is given out once and stored nowhere; a token never makes one that can do more or lives longer. */
import { isScope, scopesWithin } from '../../protocol/access/scope.js'
import { isTokenText, newToken, tokenHash, tokenId } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Principal } from '../../protocol/ports.js'
import type { TokenRecord } from '../../protocol/records.js'
import { type Directory, dropToken } from './directory.js'

export interface TokenDraft {
  name: string
  scopes: string[]
  expiresInDays?: number | undefined
}

export const MAX_TOKEN_DAYS = 3650
const MAX_TOKENS = 1000
const MAX_SCOPES = 50
const MAX_NAME_CHARACTERS = 100
const DAY_MS = 86_400_000

export class Tokens {
  readonly #directory: Directory
  readonly #nowMs: () => number

  constructor(directory: Directory, nowMs: () => number) {
    this.#directory = directory
    this.#nowMs = nowMs
  }

  /** Newest first; sessions are not among them. */
  list(user: string): TokenRecord[] {
    const tokens = this.#directory.tokensOf(user).filter((token) => token.use === 'api')
    return tokens.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  }

  async create(principal: Principal, draft: TokenDraft): Promise<{ value: string; token: TokenRecord }> {
    const { user } = principal
    if (!user) throw new RegistryError('unauthenticated', 'Only a user can make a token')
    checkDraft(draft)
    const held = principal.token
    if (held && !scopesWithin(draft.scopes, held.scopes))
      throw new RegistryError('forbidden', 'A token cannot make one that may do more than itself', {
        code: 'scope_exceeded',
      })
    return this.#directory.turn.run(async () => {
      if (this.list(user.name).length >= MAX_TOKENS)
        throw new RegistryError('conflict', `${user.name} has ${MAX_TOKENS} tokens already; revoke some first`)
      const { value, id, hash } = newToken()
      const expiresAt = this.#expiry(draft.expiresInDays, held)
      const token: TokenRecord = {
        id,
        hash,
        name: draft.name,
        user: user.name,
        scopes: [...new Set(draft.scopes)],
        createdAt: new Date(this.#nowMs()).toISOString(),
        ...(expiresAt === undefined ? {} : { expiresAt }),
        use: 'api',
      }
      await this.#directory.commit([{ kind: 'access', subject: 'token', id, record: token }], principal.name)
      return { value, token }
    })
  }

  /** `idOrValue`: a record's id or the token itself. Returns false for what is not there or is somebody else's. */
  revoke(principal: Principal, idOrValue: string, administrator: boolean): Promise<boolean> {
    const id = isTokenText(idOrValue) ? tokenId(tokenHash(idOrValue)) : idOrValue
    return this.#directory.turn.run(async () => {
      const token = this.#directory.token(id)
      const own = token !== undefined && token.user === principal.user?.name
      if (!token || !(own || administrator)) return false
      const narrowed = principal.token !== undefined && !principal.token.scopes.includes('*')
      if (narrowed && !administrator && principal.token?.id !== id)
        throw new RegistryError('forbidden', 'A narrowed token can revoke only itself')
      await this.#directory.commit([dropToken(id)], principal.name)
      return true
    })
  }

  /** What a token makes ends with it at the latest; a session is how people make lasting ones. */
  #expiry(days: number | undefined, held: TokenRecord | undefined): string | undefined {
    const asked = days === undefined ? undefined : new Date(this.#nowMs() + days * DAY_MS).toISOString()
    const cap = held && held.use !== 'session' ? held.expiresAt : undefined
    if (cap === undefined) return asked
    return asked === undefined || asked > cap ? cap : asked
  }
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
      `"${odd.slice(0, 80)}" is no scope: use *, or read, write, delete or admin, then :pattern if you like`,
    )
  const days = expiresInDays ?? 1
  if (!Number.isInteger(days) || days < 1 || days > MAX_TOKEN_DAYS)
    throw new RegistryError('invalid', `A token lasts 1 to ${MAX_TOKEN_DAYS} days`)
}
