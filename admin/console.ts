/** What the pages need of the accounts, as ports: who looks, and the ways in and out. */
import type { Reply } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import type { Principal } from '../protocol/ports.js'

/** Who looks at a page, and by which session; `session` undefined: nobody has logged in. */
export interface Visitor {
  readonly principal: Principal
  readonly session: { readonly id: string; readonly csrf: string } | undefined
}

/** A way of logging in besides the password: the page leads to `/admin/login/{key}`. */
export interface Provider {
  key: string
  name: string
}

export interface SessionCard {
  id: string
  method: string
  /** ISO 8601. */
  createdAt: string
  seenAt: string
  remote: string
  agent: string
}

/** A secret that an authenticator is to take: in force once a code of it was shown. */
export interface NewFactor {
  /** Base32, to be typed. */
  secret: string
  /** For authenticators, `otpauth://…` */
  uri: string
}

export interface PasskeyCard {
  id: string
  name: string
  /** ISO 8601. */
  createdAt: string
  usedAt: string | undefined
}

/** What a step of logging in led to: the reply that opens a session (and recovery codes, to be shown once), or the next step. */
export type Entered = Opened | { ticket: string; enrol?: NewFactor }
export interface Opened {
  reply: Reply
  codes?: string[]
}

export interface Console {
  /** A log-in on its way over a provider's pages, below `/admin/login/`. Throws what the page is to say; undefined: no such way. */
  way(request: HttpRequest): Promise<Reply> | undefined
  providers(): Provider[]
  /** The reply sets the session's cookie and leads on to `next`. Throws what the page is to say. */
  enter(credentials: { username: string; password: string }, request: HttpRequest, next: string): Promise<Entered>
  /** The step that a ticket stands for. */
  second(ticket: string, code: string, request: HttpRequest): Promise<Opened>
  leave(request: HttpRequest, visitor: Visitor): Promise<Reply>
  /** Throws unless the request comes from a page that was made for the visitor's session. */
  demandOwn(request: HttpRequest, visitor: Visitor, token: string | undefined): void
  /** For what outlasts the session. Throws `forbidden` unless the visitor logged in within the last minutes. */
  demandFresh(visitor: Visitor): Promise<void>
  sessions(user: string): Promise<SessionCard[]>
  hasSecondFactor(user: string): Promise<boolean>
  beginSecondFactor(request: HttpRequest, visitor: Visitor): Promise<NewFactor>
  /** Returns recovery codes, to be shown once. */
  confirmSecondFactor(request: HttpRequest, visitor: Visitor, code: string): Promise<string[]>
  removeSecondFactor(request: HttpRequest, visitor: Visitor, code: string): Promise<void>
  passkeys(user: string): Promise<PasskeyCard[]>
  /** JSON for the browser: to use a passkey, or, for somebody who is logged in, to make one. */
  passkeyOptions(request: HttpRequest, visitor: Visitor | undefined): Promise<object>
  /** `response`: the browser's, as JSON text. Returns recovery codes where there were none, to be shown once. */
  addPasskey(request: HttpRequest, visitor: Visitor, response: string, name: string): Promise<string[] | undefined>
  /** false: there is no such passkey of that user. */
  removePasskey(request: HttpRequest, visitor: Visitor, id: string): Promise<boolean>
  /** The reply is that of `enter`. */
  enterByPasskey(request: HttpRequest, response: string, next: string): Promise<Reply>
  /** false: there is no such session of that user. */
  end(request: HttpRequest, visitor: Visitor, id: string): Promise<boolean>
}
