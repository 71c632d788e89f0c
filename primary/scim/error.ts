/** Errors in SCIM's own shape (RFC 7644, section 3.12). */
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import { errorHeaders, statusOf } from '../../protocol/http/status.js'

/** Of table 9, those that are told here. */
export type ScimType =
  | 'invalidFilter'
  | 'tooMany'
  | 'uniqueness'
  | 'mutability'
  | 'invalidSyntax'
  | 'invalidPath'
  | 'noTarget'
  | 'invalidValue'

const SCIM_TYPES: Readonly<Record<string, ScimType>> = {
  invalidFilter: 'invalidFilter',
  tooMany: 'tooMany',
  uniqueness: 'uniqueness',
  mutability: 'mutability',
  invalidSyntax: 'invalidSyntax',
  invalidPath: 'invalidPath',
  noTarget: 'noTarget',
  invalidValue: 'invalidValue',
  name_taken: 'uniqueness',
  name_refused: 'invalidValue',
  query_invalid: 'invalidValue',
  body_invalid: 'invalidSyntax',
}

export const SCIM_JSON = 'application/scim+json'
const ERROR = 'urn:ietf:params:scim:api:messages:2.0:Error'

export function invalid(scimType: ScimType, sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: scimType })
}

export function taken(sentence: string): RegistryError {
  return new RegistryError('conflict', sentence, { code: 'uniqueness' })
}

export function refused(error: unknown, requestId: string): Reply {
  const known = error instanceof RegistryError
  const detail = known ? error.message : `Something went wrong here. The log has more under request ${requestId}.`
  return errorReply(statusOf(error), detail, {
    headers: errorHeaders(error),
    scimType: known ? SCIM_TYPES[error.code] : undefined,
  })
}

export function errorReply(
  status: number,
  detail: string,
  { headers = {}, scimType }: { headers?: Record<string, string>; scimType?: ScimType | undefined } = {},
): Reply {
  const body = { schemas: [ERROR], status: String(status), ...(scimType ? { scimType } : {}), detail }
  return {
    status,
    headers: { 'content-type': SCIM_JSON, 'cache-control': 'no-store', ...headers },
    body: JSON.stringify(body),
  }
}
