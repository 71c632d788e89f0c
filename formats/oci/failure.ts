/** Errors as the distribution specification spells them: {"errors": [{code, message, detail}]}, and where to get a token. */
import { type ErrorKind, RegistryError } from '../../protocol/errors.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { challenge } from './challenge.js'

/** Section "Error Codes" of the specification. */
const CODES = [
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DENIED',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'TOOMANYREQUESTS',
  'UNAUTHORIZED',
  'UNSUPPORTED',
] as const
export type Code = (typeof CODES)[number]

/** For errors that are thrown outside of this format. Others, such as being cut off, have no code of the specification. */
const BY_KIND: Partial<Record<ErrorKind, Code>> = {
  unauthenticated: 'UNAUTHORIZED',
  forbidden: 'DENIED',
  over_quota: 'DENIED',
  conflict: 'DENIED',
  missing: 'NAME_UNKNOWN',
  invalid: 'NAME_INVALID',
  unsupported: 'UNSUPPORTED',
  too_large: 'SIZE_INVALID',
  range: 'SIZE_INVALID',
  throttled: 'TOOMANYREQUESTS',
}

/** Old versions of Docker look for it on every reply. */
export const VERSION_HEADER = { 'docker-distribution-api-version': 'registry/2.0' }

export function failure(kind: ErrorKind, code: Code, message: string): RegistryError {
  return new RegistryError(kind, message, { code })
}

export function errorReply(error: RegistryError, status: number, request: HttpRequest): Reply {
  const code = isCode(error.code) ? error.code : (BY_KIND[error.kind] ?? 'UNKNOWN')
  const headers = status === 401 ? { ...VERSION_HEADER, 'www-authenticate': challenge(request) } : VERSION_HEADER
  return json({ errors: [{ code, message: error.message, detail: { code: error.code } }] }, status, headers)
}

function isCode(text: string): text is Code {
  return CODES.some((code) => code === text)
}
