/**
 * Node certificates: a compact JWS, signed by the primary's Ed25519 log key, that binds a peer id to a node of a fleet and
 * to the repositories it may hold. Its age is judged by the newest signed log time that the judge has seen, never by a
 * wall clock, so cut-off peers go on trusting each other. Revocation is not in here: it is a record.
 *
 *     header   {"alg":"EdDSA","typ":"cairn-node+jwt"}
 *     payload  {"fleet","sub": node id,"name","peer": libp2p peer id,"repositories": globs over keys,"iat","exp": seconds,
 *               "key": base64url of the public key, for ephemeral nodes, which have no record that says it}
 */
import type { KeyObject } from 'node:crypto'
import { CompactSign, compactVerify, errors } from 'jose'
import { z } from 'zod'
import { RegistryError } from './errors.js'

export interface Certificate {
  fleet: string
  /** Node id. */
  sub: string
  name: string
  /** libp2p peer id, text form. */
  peer: string
  /** Globs over the keys of the repositories that the node may hold. */
  repositories: string[]
  /** Seconds since the epoch, log time. */
  iat: number
  exp: number
  /** Ed25519 public key, base64url of the 32 raw bytes: of an ephemeral node, whose record names none. */
  key?: string | undefined
}

/** Whose certificates are believed: one fleet's, signed by any of these Ed25519 public keys. */
export interface Keyring {
  fleet: string
  keys: readonly KeyObject[]
}

/** Longest certificate that is read, in characters. */
export const MAX_CERTIFICATE_LENGTH = 16_384

const ALGORITHM = 'EdDSA'
const TYPE = 'cairn-node+jwt'
const LEEWAY_SECONDS = 60

const word = z.string().min(1).max(256)
const claims = z.object({
  fleet: word,
  sub: word,
  name: z.string().max(256),
  peer: word,
  repositories: z.array(z.string().min(1).max(256)).max(512),
  iat: z.int().positive(),
  exp: z.int().positive(),
  key: z.string().length(43).optional(),
})

/** `key`: the primary's private log key. Throws `invalid` for claims that no judge would accept. */
export async function issue(key: KeyObject, certificate: Certificate): Promise<string> {
  const checked = claims.safeParse(certificate)
  if (!checked.success || checked.data.exp <= checked.data.iat)
    throw new RegistryError('invalid', 'These are no claims for a node certificate')
  const text = await new CompactSign(Buffer.from(JSON.stringify(checked.data)))
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
    .sign(key)
  if (text.length > MAX_CERTIFICATE_LENGTH)
    throw new RegistryError('invalid', 'The node may hold too many repositories to name them in a certificate')
  return text
}

/**
 * Throws `unauthenticated`, with the reason, for anything but a certificate of the fleet that one of the keys signed and
 * that had not expired (by more than the leeway, a minute) at `now`, the newest signed log time that the judge has seen.
 */
export async function verify(
  text: string,
  keyring: Keyring,
  now: Date,
  leewaySeconds = LEEWAY_SECONDS,
): Promise<Certificate> {
  if (text.length === 0 || text.length > MAX_CERTIFICATE_LENGTH) throw refused('it is empty or too long')
  const certificate = parse(await signedPayload(text, keyring.keys))
  if (certificate.fleet !== keyring.fleet) throw refused('it is from another fleet')
  if (expired(certificate, now, leewaySeconds)) throw refused('it has expired')
  return certificate
}

/** By log time. A time before `iat` is no reason to refuse: the judge may be behind. */
export function expired(certificate: Certificate, now: Date, leewaySeconds = LEEWAY_SECONDS): boolean {
  return now.getTime() / 1000 >= certificate.exp + leewaySeconds
}

async function signedPayload(text: string, keys: readonly KeyObject[]): Promise<Uint8Array> {
  for (const key of keys) {
    try {
      const { payload, protectedHeader } = await compactVerify(text, key, { algorithms: [ALGORITHM] })
      if (protectedHeader.typ !== TYPE) throw refused('it is a token of another type')
      return payload
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) continue
      throw error instanceof RegistryError ? error : refused('it is malformed', error)
    }
  }
  throw refused('the primary did not sign it')
}

function parse(payload: Uint8Array): Certificate {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch (error) {
    throw refused('its claims are no JSON', error)
  }
  const parsed = claims.safeParse(value)
  if (!parsed.success || parsed.data.exp <= parsed.data.iat) throw refused('a claim is missing or malformed')
  return parsed.data
}

function refused(reason: string, cause?: unknown): RegistryError {
  return new RegistryError('unauthenticated', `The node certificate is refused: ${reason}`, {
    cause,
    code: 'certificate_refused',
  })
}
