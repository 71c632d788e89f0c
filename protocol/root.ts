/**
 * What a format answers without a repository: a version check, a catalogue, a log-in. Anybody may ask; the routes
 * look at who it is themselves.
 */
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import type { Accounts, Principal } from './ports.js'
import type { Repository } from './repository.js'

export interface RootCall {
  readonly request: HttpRequest
  readonly params: Readonly<Record<string, string>>
  readonly accounts: Accounts
  /** Who asks. Throws like `Access.authenticate`; another Authorization value may be given instead of the request's own. */
  principal(authorization?: string): Principal | Promise<Principal>
  /** The repositories of this format that the principal sees, each with what may be read in it, as a call of one tells it. */
  repositories(
    principal: Principal,
  ): { repository: Repository; reads: (path: string) => boolean; reach: readonly string[] }[]
  /** On a node: has the primary answer a request. */
  readonly forward: ((request: HttpRequest) => Promise<Reply>) | undefined
}

export interface RootRoute {
  readonly method: string
  /** From the root of the host: '/v2/_catalog', whose first segment is no other format's; of a log-in, below a repository's address. */
  readonly pattern: string
  readonly params: Readonly<Record<string, RegExp>>
  handle(call: RootCall): Promise<Reply>
}

export function rootRoute(method: 'GET' | 'POST' | 'PUT', pattern: string, handle: RootRoute['handle']): RootRoute {
  return { method, pattern, params: {}, handle }
}
