/**
 * The text that lets one node join once. It names the primary and pins its keys, so that a node trusts nothing that it was
 * not given by its administrator:
 *
 *     cairn_join_ base64url(JSON { u: fleet URL, k: log key, t: TLS key pin, s: secret, n: node id })
 *
 * `k` is the 32 raw bytes and `t` the SHA-256 of the TLS SubjectPublicKeyInfo, both base64url.
 */
import { z } from 'zod'
import { RegistryError } from '../errors.js'

export interface JoinToken {
  url: string
  logKey: string
  tlsPin: string
  secret: string
  node: string
}

const PREFIX = 'cairn_join_'
const MAX_CHARACTERS = 4096

const shape = z.object({
  u: z.url({ protocol: /^https$/ }).max(512),
  k: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  t: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  s: z.string().min(32).max(128),
  n: z.string().min(1).max(64),
})

export function joinTokenText(token: JoinToken): string {
  const compact = { u: token.url, k: token.logKey, t: token.tlsPin, s: token.secret, n: token.node }
  return PREFIX + Buffer.from(JSON.stringify(compact)).toString('base64url')
}

/** Throws `invalid`; the message never repeats the token. */
export function parseJoinToken(text: string): JoinToken {
  const { u, k, t, s, n } = shape.safeParse(decode(text.trim())).data ?? refuse()
  return { url: u, logKey: k, tlsPin: t, secret: s, node: n }
}

function decode(text: string): unknown {
  if (!text.startsWith(PREFIX) || text.length > MAX_CHARACTERS) return undefined
  try {
    return JSON.parse(Buffer.from(text.slice(PREFIX.length), 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}

function refuse(): never {
  throw new RegistryError('invalid', 'That is no join token, or a part of it is missing; copy it whole', {
    code: 'join_token_invalid',
  })
}
