/** A certificate that signs itself, as an operator would make one for a test of https. */
import { webcrypto } from 'node:crypto'
import { writeFile } from 'node:fs/promises'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

interface Unfit {
  /** Instead of 127.0.0.1 and localhost. */
  host?: string
  /** It ended an hour ago. */
  isOver?: boolean
}

/** Writes both as PEM; good for two days, for 127.0.0.1 and localhost. */
export async function selfSigned(
  keyFile: string,
  certFile: string,
  name = 'localhost',
  { host, isOver = false }: Unfit = {},
): Promise<void> {
  // x509's own dependency injection asks for it.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const addresses = new x509.SubjectAlternativeNameExtension([
    ...(host === undefined ? [{ type: 'ip' as const, value: '127.0.0.1' }] : []),
    { type: 'dns', value: host ?? 'localhost' },
  ])
  const made = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + (isOver ? -HOUR_MS : 2 * DAY_MS)),
      signingAlgorithm: algorithm,
      keys,
      extensions: [addresses],
    },
    webcrypto as Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[1],
  )
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  await writeFile(keyFile, x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'), { mode: 0o600 })
  await writeFile(certFile, made.toString('pem'))
}
