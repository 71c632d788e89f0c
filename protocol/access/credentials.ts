/**
 * What an Authorization header carries. Package clients put tokens where they can: as Bearer, as a Basic password under any
 * user name (`__token__` by convention), or as a Basic user name with no password. No value is ever repeated in an error.
 */
import { RegistryError } from '../errors.js'
import { TOKEN_PREFIX } from './token.js'

export type Credentials = { kind: 'token'; value: string } | { kind: 'password'; user: string; password: string }

const MAX_CHARACTERS = 8192
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i
const BASIC = /^Basic +([A-Za-z0-9+/_-]+={0,2}) *$/i

/** Throws `unauthenticated` for anything else, for empty passwords and for control characters. */
export function parseCredentials(authorization: string): Credentials {
  if (authorization.length > MAX_CHARACTERS) throw refused('The credentials are too long')
  const bearer = BEARER.exec(authorization)?.[1]
  if (bearer !== undefined) return { kind: 'token', value: bearer }
  const basic = BASIC.exec(authorization)?.[1]
  if (basic === undefined) throw refused('The Authorization header is neither Bearer nor Basic')
  return parsePair(decode(basic))
}

function parsePair(text: string): Credentials {
  const colon = text.indexOf(':')
  if (colon < 0) throw refused('Basic credentials need a colon between user and password')
  const user = text.slice(0, colon)
  const password = text.slice(colon + 1)
  if (password.startsWith(TOKEN_PREFIX)) return { kind: 'token', value: password }
  if (password === '' && user.startsWith(TOKEN_PREFIX)) return { kind: 'token', value: user }
  if (user.trim() === '' || password.trim() === '') throw refused('User name and password must not be empty')
  return { kind: 'password', user, password }
}

function decode(base64: string): string {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(base64, 'base64'))
  } catch (cause) {
    throw new RegistryError('unauthenticated', 'The Basic credentials are not UTF-8', { cause })
  }
  // RFC 7617 section 2: user-id and password must not contain control characters.
  if (hasControl(text)) throw refused('Credentials must not contain control characters')
  return text
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

function refused(sentence: string): RegistryError {
  return new RegistryError('unauthenticated', sentence)
}
