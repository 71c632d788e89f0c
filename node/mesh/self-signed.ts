/**
 * The X.509 certificate that a node shows in TLS: nothing but its Ed25519 key in the form that TLS wants (RFC 5280, version 1,
 * signed by itself). Whose key that is, and whether it is to be trusted, the fleet's certificate says.
 */
import { type KeyObject, sign } from 'node:crypto'

const [SEQUENCE, SET, INTEGER, BIT_STRING, OID, UTF8, UTC, GENERALIZED] = [
  0x30, 0x31, 0x02, 0x03, 0x06, 0x0c, 0x17, 0x18,
] as const
/** 1.3.101.112 */
const ED25519 = Buffer.of(0x2b, 0x65, 0x70)
/** 2.5.4.3 */
const COMMON_NAME = Buffer.of(0x55, 0x04, 0x03)

/** PEM. `spki`: the public key's DER. */
export function selfSigned(key: KeyObject, spki: Buffer): string {
  const algorithm = der(SEQUENCE, der(OID, ED25519))
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, der(OID, COMMON_NAME), der(UTF8, Buffer.from('cairn node')))))
  // Its age means nothing.
  const always = der(SEQUENCE, der(UTC, Buffer.from('700101000000Z')), der(GENERALIZED, Buffer.from('99991231235959Z')))
  const body = der(SEQUENCE, der(INTEGER, Buffer.of(1)), algorithm, name, always, name, spki)
  const signature = Buffer.concat([Buffer.of(0), sign(null, body, key)])
  const certificate = der(SEQUENCE, body, algorithm, der(BIT_STRING, signature))
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 255]
  return Buffer.concat([Buffer.of(tag, ...length), content])
}
