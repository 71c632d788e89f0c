/**
 * A way to sign on elsewhere. A kind is a value; what is configured is opened into a Provider, which takes passwords, or has
 * routes that a browser is led over, or does neither (SCIM, primary/scim). Everything outside is asked through `parts`, with limits and deadlines.
 */
import type pg from 'pg'
import type { z } from 'zod'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { AuditEntry } from '../accounts/audit.js'
import type { ConsoleSessions } from '../accounts/console.js'
import type { Guard } from '../upstream/guard.js'
import type { Federation } from './federation.js'
import type { Identity } from './identity.js'
import type { IssuerKeys } from './issuer-keys.js'
import type { Once } from './once.js'

export interface ProviderKind<S extends object = object> {
  readonly kind: 'ldap' | 'oidc' | 'oauth2' | 'saml' | 'scim'
  /** With `admissionFields`. Unknown fields are refused. */
  readonly settings: z.ZodType<S>
  /** Names of settings that are secret: sealed, and never shown. */
  readonly secrets: readonly string[]
  /** What its subjects are unique in. A provider keeps it: another one's subjects are other people. */
  realm(settings: S): string
  /** Throws `invalid` or `unavailable` with what is wrong, before anything is saved. */
  check(settings: S, parts: ProviderParts): Promise<void>
  open(key: string, settings: S, parts: ProviderParts): Provider
}

export interface Provider {
  /** undefined: not somebody's password. Throws `unavailable` when it cannot be asked. */
  password?(user: string, password: string, signal: AbortSignal): Promise<Identity | undefined>
  /** Whom a password provider knows by this name. Throws why it is nobody. */
  find?(user: string, signal: AbortSignal): Promise<Identity>
  /** Compares all of its accounts with what the provider says now. `isForced`: however many are to go. */
  sync?(isForced: boolean, signal: AbortSignal): Promise<Synced>
  /**
   * Below `/admin/login/{key}/`, by method and name, for instance `GET callback`. `GET start` is the key's own path, where a
   * log-in page leads to; `GET logout` is where somebody goes who logged in by it and out here (leaving.ts).
   */
  readonly routes?: Readonly<Record<string, Route>>
  /** What is to be done once in a while, for instance to ask anew who is in which group. */
  tick?(signal: AbortSignal): Promise<void>
  close?(): Promise<void>
}

/** What became of a provider's accounts; the lists are names of users. */
export interface Synced {
  accounts: number
  deactivated: string[]
  reactivated: string[]
  /** Not deactivated, since there would be no administrator. */
  kept: string[]
}

export type Route = (request: HttpRequest) => Promise<Reply>

export interface ProviderParts {
  federation: Federation
  pool: pg.Pool
  /** For `seal` and `unseal`. */
  key: Uint8Array
  /** Which addresses may be connected to. */
  guard: Guard
  /** As the global one, for allowed addresses: no redirect is followed, replies are small, and there is a deadline. */
  fetch: typeof fetch
  once: Once
  /** Keys of those who sign tokens. */
  issuers: IssuerKeys
  audit: (entry: AuditEntry) => Promise<void>
  console: Pick<ConsoleSessions, 'open' | 'ofProvider'>
  /** Ends the user's sessions, the console's too. */
  endSessions(user: string): Promise<void>
  nowMs: () => number
}
