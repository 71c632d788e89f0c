/**
 * Credentials for upstreams, per repository: written by REST, never read back, encrypted in the database with a key that lies
 * among the primary's other keys. They belong to one origin and are given out for no other, whatever the repository's upstream
 * becomes. AES-256-GCM; the repository's scope is authenticated with it.
 *
 *     sealed = nonce (12) | tag (16) | ciphertext of {origin, credential}
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import type pg from 'pg'

export type UpstreamCredential =
  | { kind: 'basic'; username: string; password: string }
  | { kind: 'bearer'; token: string }
  | { kind: 'header'; header: string; value: string }

export interface Credentials {
  /** An Authorization value, if there is one for this origin. */
  authorization(scope: string, origin: string): Promise<string | undefined>
  /** For upstreams that want a credential in a header of another name. */
  headers(scope: string, origin: string): Promise<Record<string, string> | undefined>
  set(scope: string, kept: OriginCredential | undefined): Promise<void>
}

export interface OriginCredential {
  /** Scheme and authority, as in `URL.origin`. */
  origin: string
  credential: UpstreamCredential
}

const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32

export class PostgresCredentials implements Credentials {
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #key: Uint8Array
  readonly #known = new Map<string, OriginCredential | undefined>()
  /** Grows with each change, so that what was read before it is not remembered after it. */
  #changes = 0

  constructor(pool: Pick<pg.Pool, 'query'>, key: Uint8Array) {
    this.#pool = pool
    this.#key = key
  }

  async authorization(scope: string, origin: string): Promise<string | undefined> {
    const credential = await this.#for(scope, origin)
    return credential && authorizationOf(credential)
  }

  async headers(scope: string, origin: string): Promise<Record<string, string> | undefined> {
    const credential = await this.#for(scope, origin)
    return credential?.kind === 'header' ? { [credential.header]: credential.value } : undefined
  }

  async set(scope: string, kept: OriginCredential | undefined): Promise<void> {
    this.#changes++
    if (kept === undefined) await this.#pool.query('delete from upstream_credential where scope = $1', [scope])
    else
      await this.#pool.query(
        'insert into upstream_credential (scope, sealed) values ($1, $2) on conflict (scope) do update set sealed = $2',
        [scope, seal(this.#key, scope, JSON.stringify(kept))],
      )
    this.#changes++
    this.#known.delete(scope)
  }

  async #for(scope: string, origin: string): Promise<UpstreamCredential | undefined> {
    const kept = this.#known.has(scope) ? this.#known.get(scope) : await this.#read(scope)
    return kept?.origin === origin ? kept.credential : undefined
  }

  async #read(scope: string): Promise<OriginCredential | undefined> {
    const changes = this.#changes
    const { rows } = await this.#pool.query<{ sealed: Buffer }>(
      'select sealed from upstream_credential where scope = $1',
      [scope],
    )
    const kept = rows[0] && (JSON.parse(unseal(this.#key, scope, rows[0].sealed)) as OriginCredential)
    if (changes === this.#changes) this.#known.set(scope, kept)
    return kept
  }
}

/** The key in a file of mode 0600, made when there is none. */
export async function credentialKey(path: string): Promise<Uint8Array> {
  const before = await readFile(path).catch(() => undefined)
  if (before?.length === KEY_BYTES) return before
  if (before) throw new Error(`${path} is not a key of ${KEY_BYTES} bytes`)
  const key = randomBytes(KEY_BYTES)
  await writeFile(`${path}.new`, key, { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
  return key
}

export function seal(key: Uint8Array, scope: string, text: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(scope))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed])
}

/** Throws for bytes that another key, or another scope, was used for. */
export function unseal(key: Uint8Array, scope: string, sealed: Uint8Array): string {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(scope))
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
  return decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
}

export function authorizationOf(credential: UpstreamCredential): string | undefined {
  if (credential.kind === 'header') return undefined
  if (credential.kind === 'bearer') return `Bearer ${credential.token}`
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString('base64')}`
}
