/**
 * A REST endpoint as a value: what it is called, who may, what comes in, what goes out. The same schemas validate requests and
 * make the OpenAPI document. Who may call it has no default: an endpoint that does not say does not compile.
 */
import type { z } from 'zod'
import type { Reply } from '../http/reply.js'
import type { HttpRequest } from '../http/request.js'
import type { Principal } from '../ports.js'
import type { Action, ProjectRecord, RepositoryRecord } from '../records.js'

/**
 * `anyone`; `authenticated`: a user; `administrator`: of the whole system; `auditor`: who may see how it is set up;
 * `provisioner`: an identity provider's own token, or an administrator; or an action on
 * the repository or project that the path's `{key}` names (below the path that `{path*}` names, where there is one), `look` being
 * to read or to audit. What may not be seen answers 404.
 */
export type Requirement =
  | 'anyone'
  | 'authenticated'
  | 'auditor'
  | 'administrator'
  | 'provisioner'
  | { readonly repository: Action | 'see' | 'look' }
  | { readonly project: 'see' | 'manage' }

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

type ParameterName<S extends string> = S extends `${infer N}*` ? N : S
/** Parameters of a path such as '/api/v1/repositories/{key}/artifacts/{path*}' (the star: any number of segments). */
export type PathParameters<P extends string> = P extends `${string}{${infer N}}${infer Rest}`
  ? { readonly [K in ParameterName<N>]: string } & PathParameters<Rest>
  : unknown

/** `empty`: no body. `raw`: the handler makes the whole reply (bytes, a page). */
export type Output = z.ZodType | 'empty' | 'raw'
/** `stream`: the handler reads the body itself. */
export type Input = z.ZodObject | 'stream' | undefined

type In<B> = B extends z.ZodType ? z.output<B> : undefined
type Answer<R> = R extends z.ZodType ? Promise<z.input<R>> : R extends 'raw' ? Promise<Reply> : Promise<void>

export interface Ask<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  readonly principal: Principal
  readonly request: HttpRequest
  /** To be changed by the handler where one status or set of headers is not enough. */
  readonly response: { status: number; headers: Record<string, string> }
  /** Words for the audit trail beyond who, what and where. Never a secret. */
  readonly note: Record<string, string | number | boolean | null>
}

type On<A extends Requirement> = A extends { repository: string }
  ? { readonly repository: RepositoryRecord }
  : A extends { project: string }
    ? { readonly project: ProjectRecord }
    : unknown

export interface Definition<
  P extends string,
  A extends Requirement,
  Q extends z.ZodObject | undefined,
  B extends Input,
  R extends Output,
> {
  /** `noun.verb`: operation id and audit action. */
  readonly name: string
  readonly method: Method
  readonly path: P
  readonly summary: string
  readonly access: A
  /** A question whose body is too large for a query: whoever is asked changes nothing by it, and answers it itself. */
  readonly asks?: boolean
  readonly query?: Q
  /** Unknown fields are refused. */
  readonly body?: B
  readonly reply: R
  /** Of the successful reply. Default 200, or 204 when it is empty. */
  readonly status?: number
  handle(ask: Ask<PathParameters<P>, In<Q>, In<B>> & On<A>): Answer<R>
}

/** An endpoint with its types worn off, as lists hold it. */
export interface Endpoint {
  readonly name: string
  readonly method: Method
  readonly path: string
  readonly summary: string
  readonly access: Requirement
  readonly asks: boolean
  readonly query: z.ZodObject | undefined
  readonly body: Input
  readonly reply: Output
  readonly status: number
  handle(ask: ErasedAsk): Promise<unknown>
}

export type ErasedAsk = Ask<Record<string, string>, unknown, unknown> & {
  readonly repository?: RepositoryRecord
  readonly project?: ProjectRecord
}

export function endpoint<
  const P extends string,
  const A extends Requirement,
  R extends Output,
  Q extends z.ZodObject | undefined = undefined,
  B extends Input = undefined,
>(definition: Definition<P, A, Q, B, R>): Endpoint {
  const { name, method, path, summary, access, asks = false, query, body, reply } = definition
  return {
    name,
    method,
    path,
    summary,
    access,
    asks,
    query,
    body,
    reply,
    status: definition.status ?? (reply === 'empty' ? 204 : 200),
    // The parse boundary is in serve.ts: it calls this with what the path, the schemas and the requirement let through.
    handle: definition.handle.bind(definition) as unknown as Endpoint['handle'],
  }
}
