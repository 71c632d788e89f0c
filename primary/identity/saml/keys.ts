/** The key pair with which this registry signs what it asks a provider, and opens what is encrypted for it: made when first needed. */
import { webcrypto } from 'node:crypto'
import type pg from 'pg'
import { seal, unseal } from '../../upstream/credentials.js'

export interface OwnKey {
  /** PEM, both. */
  privateKey: string
  certificate: string
}

const BITS = 3072
const YEARS_MS = 10 * 365 * 86_400_000
const DAY_MS = 86_400_000

export class OwnKeys {
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #sealing: Uint8Array
  readonly #provider: string
  #known: Promise<OwnKey> | undefined

  constructor(provider: string, parts: { pool: Pick<pg.Pool, 'query'>; key: Uint8Array }) {
    this.#pool = parts.pool
    this.#sealing = parts.key
    this.#provider = provider
  }

  get(): Promise<OwnKey> {
    this.#known ??= this.#load().catch((error) => {
      this.#known = undefined
      throw error
    })
    return this.#known
  }

  async #load(): Promise<OwnKey> {
    const kept = await this.#kept()
    if (kept) return kept
    const { privateKey, certificate } = await newKey()
    // Another primary may have been quicker.
    await this.#pool.query(
      'update identity_provider set own_certificate = $2, own_key = $3 where key = $1 and own_key is null',
      [this.#provider, certificate, seal(this.#sealing, this.#scope(), privateKey)],
    )
    return (await this.#kept()) ?? { privateKey, certificate }
  }

  async #kept(): Promise<OwnKey | undefined> {
    const { rows } = await this.#pool.query<{ certificate: string; sealed: Buffer }>(
      `select own_certificate as certificate, own_key as sealed from identity_provider
       where key = $1 and own_key is not null`,
      [this.#provider],
    )
    const [row] = rows
    return row && { certificate: row.certificate, privateKey: unseal(this.#sealing, this.#scope(), row.sealed) }
  }

  #scope(): string {
    return `saml/${this.#provider}`
  }
}

async function newKey(): Promise<OwnKey> {
  // x509's own dependency injection asks for it.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: BITS,
    publicExponent: new Uint8Array([1, 0, 1]),
  }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const made = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=cairn',
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + YEARS_MS),
      signingAlgorithm: algorithm,
      keys,
    },
    webcrypto as Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[1],
  )
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  return { privateKey: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'), certificate: made.toString('pem') }
}
