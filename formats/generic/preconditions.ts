/** If-Match and If-None-Match of requests that change something (RFC 9110 section 13.1). ETags here are quoted SHA-256 digests. */
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'

type Headers = ReadonlyMap<string, string>

export function isConditional(headers: Headers): boolean {
  return headers.has('if-match') || headers.has('if-none-match')
}

/** Throws `precondition`. `present`: what is at the path now. */
export function checkPreconditions(headers: Headers, present: Stored | undefined): void {
  const match = headers.get('if-match')
  if (match !== undefined && !(present && names(match, present)))
    throw notMet('What is here is not what If-Match names')
  const noneMatch = headers.get('if-none-match')
  if (noneMatch !== undefined && present && names(noneMatch, present))
    throw notMet('There is a file here already, and If-None-Match excludes it')
}

export function notMet(sentence: string): RegistryError {
  return new RegistryError('precondition', sentence)
}

function names(list: string, { digest }: Stored): boolean {
  return list.trim() === '*' || list.split(',').some((tag) => tag.trim() === `"${digest}"`)
}
