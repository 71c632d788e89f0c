/** A server's own key and certificate, in PEM files that somebody renews from time to time. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { RegistryError } from '../errors.js'
import { Periodic } from '../periodic.js'

export interface TlsFiles {
  keyFile: string
  /** The certificate, and those that lead to its authority. */
  certFile: string
}

const LOOK_MS = 5_000

/** Notices other files. They may be written one after the other: what is new counts once it stays the same for two looks. */
export class TlsRenewal {
  readonly #files: TlsFiles
  #used: string
  #before: string

  private constructor(files: TlsFiles, used: string) {
    this.#files = files
    this.#used = used
    this.#before = used
  }

  /** To be made before the files are used. */
  static async of(files: TlsFiles): Promise<TlsRenewal> {
    return new TlsRenewal(files, (await read(files)).hash)
  }

  /** Calls `reload` within seconds of a renewal, and `failed` once for files that cannot be used. */
  watch(reload: () => Promise<void>, failed: (error: unknown) => void, lookMs = LOOK_MS): Periodic {
    const periodic = new Periodic(() => this.#look(reload), lookMs, failed)
    periodic.start()
    return periodic
  }

  async #look(reload: () => Promise<void>): Promise<void> {
    const { hash, key, cert } = await read(this.#files)
    const settled = hash === this.#before
    this.#before = hash
    if (!settled || hash === this.#used) return
    this.#used = hash
    refuseUnusable(this.#files, key, cert)
    await reload()
  }
}

async function read({ keyFile, certFile }: TlsFiles): Promise<{ hash: string; key: Buffer; cert: Buffer }> {
  const [key, cert] = await Promise.all([readFile(keyFile), readFile(certFile)])
  return { key, cert, hash: createHash('sha256').update(key).update('\0').update(cert).digest('hex') }
}

function refuseUnusable({ certFile }: TlsFiles, key: Buffer, cert: Buffer): void {
  try {
    createSecureContext({ key, cert })
  } catch (cause) {
    throw new RegistryError('invalid', `The new TLS key or certificate cannot be used: ${certFile}`, { cause })
  }
}
