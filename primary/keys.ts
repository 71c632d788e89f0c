/**
 * The primary's secrets on disk: the Ed25519 key that signs the log and certificates, and the TLS key of the fleet port. Nodes
 * pin both in their join token; the TLS certificate is made again from its key when it is near its end.
 *
 *     <dir>/log.pem   <dir>/tls.pem   <dir>/tls.crt     all mode 0600
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  webcrypto,
  X509Certificate,
} from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rawPublicKey } from '../protocol/log/checkpoint.js'

export interface PrimaryKeys {
  log: KeyObject
  /** 32 raw bytes. */
  logPublic: Uint8Array
  /** Derived from the log's key: up to 20 characters. */
  fleet: string
  tls: { keyFile: string; certFile: string /** base64url SHA-256 of the SubjectPublicKeyInfo. */; pin: string }
}

const CERTIFICATE_DAYS = 3650
const RENEW_BEFORE_DAYS = 365

export async function loadKeys(dir: string, now: Date): Promise<PrimaryKeys> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await chmod(dir, 0o700)
  const log = await keyFile(join(dir, 'log.pem'), () => generateKeyPairSync('ed25519').privateKey)
  const tls = await keyFile(join(dir, 'tls.pem'), () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  const logPublic = rawPublicKey(createPublicKey(log))
  const fleet = fleetOf(logPublic)
  const certFile = join(dir, 'tls.crt')
  await certificate(certFile, tls, fleet, now)
  const spki = createPublicKey(tls).export({ type: 'spki', format: 'der' })
  return {
    log,
    logPublic,
    fleet,
    tls: { keyFile: join(dir, 'tls.pem'), certFile, pin: createHash('sha256').update(spki).digest('base64url') },
  }
}

/** The name of the fleet whose log a key signs: 32 raw bytes. */
export function fleetOf(logPublic: Uint8Array): string {
  return createHash('sha256')
    .update(logPublic)
    .digest('base64url')
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 16)
}

async function keyFile(path: string, make: () => KeyObject): Promise<KeyObject> {
  const pem = await readFile(path, 'utf8').catch(() => undefined)
  if (pem !== undefined) return createPrivateKey(pem)
  const key = make()
  await replace(path, String(key.export({ type: 'pkcs8', format: 'pem' })))
  return key
}

async function certificate(path: string, key: KeyObject, fleet: string, now: Date): Promise<void> {
  const before = await readFile(path).catch(() => undefined)
  if (before && Date.parse(new X509Certificate(before).validTo) - now.getTime() > RENEW_BEFORE_DAYS * 86_400_000) return
  // x509's own dependency injection asks for it.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const made = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=cairn-${fleet}`,
      notBefore: new Date(now.getTime() - 86_400_000),
      notAfter: new Date(now.getTime() + CERTIFICATE_DAYS * 86_400_000),
      signingAlgorithm: algorithm,
      keys: {
        privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
        publicKey: await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']),
      },
    },
    webcrypto as Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[1],
  )
  await replace(path, made.toString('pem'))
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}
