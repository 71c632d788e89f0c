/**
 * The one place where an error becomes a status and a document (RFC 9457). Unknown exceptions become 500 with the request
 * id and not a word of the exception: whoever handles them logs them.
 */
import { STATUS_CODES } from 'node:http'
import { type ErrorKind, RegistryError } from '../errors.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'

const STATUS: Readonly<Record<ErrorKind, number>> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  missing: 404,
  unsupported: 405,
  conflict: 409,
  precondition: 412,
  too_large: 413,
  range: 416,
  throttled: 429,
  upstream: 502,
  // What is damaged here is whole somewhere else: like a bad gateway, worth a retry or another node, and not a bug.
  corrupt: 502,
  unavailable: 503,
  over_quota: 507,
}

/** Seconds, where the error names none and clients should come back. */
const RETRY_AFTER: Partial<Record<ErrorKind, number>> = { throttled: 1, unavailable: 5 }

/** Both, so that clients that know only one of them find it; Basic first, since pip and Maven read the first. */
const CHALLENGE = 'Basic realm="Cairn", Bearer realm="Cairn"'

export function statusOf(error: unknown): number {
  return error instanceof RegistryError ? STATUS[error.kind] : 500
}

/** What another Cairn meant by a status; undefined for those that no kind stands for. */
export function kindOf(status: number): ErrorKind | undefined {
  return KINDS.get(status)
}

// Of two kinds with one status the first counts.
const KINDS = new Map(
  Object.entries(STATUS)
    .reverse()
    .map(([kind, status]) => [status, kind as ErrorKind]),
)

/** Headers that an error brings, whatever document goes with it. */
export function errorHeaders(error: unknown): Record<string, string> {
  if (!(error instanceof RegistryError)) return {}
  const headers: Record<string, string> = {}
  const retryAfter = error.retryAfter ?? RETRY_AFTER[error.kind]
  if (retryAfter !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfter)))
  if (error.kind === 'unauthenticated') headers['www-authenticate'] = CHALLENGE
  return headers
}

/** The error as application/problem+json. */
export function problem(error: unknown, request: Pick<HttpRequest, 'id'>): Reply {
  const status = statusOf(error)
  const known = error instanceof RegistryError
  return document(status, {
    detail: known ? error.message : `Something went wrong here. The log has more under request ${request.id}.`,
    code: known ? error.code : 'internal',
    request_id: request.id,
    headers: errorHeaders(error),
  })
}

/** 405 with Allow, which a `RegistryError` cannot carry. */
export function notAllowed(method: string, allow: readonly string[], request: Pick<HttpRequest, 'id'>): Reply {
  return document(405, {
    detail: `${method} is not offered here`,
    code: 'unsupported',
    request_id: request.id,
    headers: { allow: allow.join(', ') },
  })
}

/** For statuses that no error kind stands for, such as 431. */
export function refusal(status: number, detail: string, code: string, request: Pick<HttpRequest, 'id'>): Reply {
  return document(status, { detail, code, request_id: request.id, headers: {} })
}

interface Problem {
  detail: string
  code: string
  request_id: string
  headers: Record<string, string>
}

function document(status: number, { headers, ...members }: Problem): Reply {
  const body = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, ...members }
  return {
    status,
    // An error is about this moment: no cache may keep it.
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
    body: JSON.stringify(body),
  }
}
