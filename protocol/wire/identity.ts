/**
 * How a node says who it is to the primary: a short JWT signed by the node's own Ed25519 key (EdDSA; iss node id, aud fleet,
 * at most ten minutes), sent as `X-Cairn-Node`. An ephemeral node, whose key no record names, puts its certificate into the claim
 * `crt`. The connection itself is TLS, pinned by the join token.
 */
import type { KeyObject } from 'node:crypto'
import { decodeJwt, jwtVerify, SignJWT } from 'jose'
import { RegistryError } from '../errors.js'
import { publicKeyObject } from '../log/checkpoint.js'

export const NODE_HEADER = 'x-cairn-node'
/** Position of a write, `epoch.number`, on replies to what changes something. */
export const POSITION_HEADER = 'x-cairn-position'
/** Origin of the node that forwards a request, for absolute URLs in the reply. Believed only beside NODE_HEADER. */
export const ORIGIN_HEADER = 'x-cairn-origin'

const TYPE = 'cairn-identity+jwt'
const LIFETIME_S = 300
const MAX_LIFETIME_S = 600
const LEEWAY_S = 60
const MAX_CHARACTERS = 8192

export async function nodeIdentity(
  key: KeyObject,
  node: string,
  fleet: string,
  nowMs: number,
  certificate?: string,
): Promise<{ text: string; expiresMs: number }> {
  const seconds = Math.floor(nowMs / 1000)
  const text = await new SignJWT(certificate === undefined ? {} : { crt: certificate })
    .setProtectedHeader({ alg: 'EdDSA', typ: TYPE })
    .setIssuer(node)
    .setAudience(fleet)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + LIFETIME_S)
    .sign(key)
  return { text, expiresMs: nowMs + LIFETIME_S * 1000 }
}

/** The node's id. `keyOf` gives a member's raw public key, or undefined for one that is unknown, revoked, or has another certificate. */
export async function verifyNodeIdentity(
  text: string,
  fleet: string,
  nowMs: number,
  keyOf: (node: string, certificate: string | undefined) => Promise<Uint8Array | undefined>,
): Promise<string> {
  try {
    if (text.length > MAX_CHARACTERS) throw new Error('too long')
    const { iss: node = '', crt } = decodeJwt(text)
    const key = await keyOf(node, typeof crt === 'string' ? crt : undefined)
    if (!key) throw new Error('unknown node')
    await jwtVerify(text, publicKeyObject(key), {
      algorithms: ['EdDSA'],
      typ: TYPE,
      issuer: node,
      audience: fleet,
      requiredClaims: ['iat', 'exp'],
      maxTokenAge: MAX_LIFETIME_S,
      clockTolerance: LEEWAY_S,
      currentDate: new Date(nowMs),
    })
    return node
  } catch (cause) {
    throw new RegistryError('unauthenticated', 'This node is not a member of the fleet, or its clock is wrong', {
      cause,
      code: 'node_unknown',
    })
  }
}
