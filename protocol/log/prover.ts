/** Makes proofs from a log that is held: the primary's, or a node's copy. */
import { RegistryError } from '../errors.js'
import type { Metadata } from '../ports.js'
import { verifierKey } from './checkpoint.js'
import type { Entry } from './entry.js'
import { type Proof, proved } from './proof.js'
import type { LogTree } from './tree.js'

export interface HeldLog {
  /** The newest checkpoint; one that covers `least` entries, if that comes soon. */
  newest(least?: number): Promise<{ number: number; note: string } | undefined>
  /** undefined for one that may not be seen here, or whose body is gone. */
  entry(number: number): Promise<Entry | undefined>
  /** Another one once entries were taken back. */
  readonly tree: LogTree
}

export interface ProverOptions {
  log: HeldLog
  metadata: Pick<Metadata, 'recordedBy' | 'configuredBy'>
  fleet: string
  /** Of the log, 32 raw bytes. */
  publicKey: Uint8Array
}

export class Prover {
  readonly #options: ProverOptions

  constructor(options: ProverOptions) {
    this.#options = options
  }

  /** What proofs made here can be checked against. Throws `unavailable` before anything of the log is here. */
  async believed(): Promise<{ fleet: string; key: string; checkpoint: string }> {
    const { log, fleet, publicKey } = this.#options
    const newest = await log.newest()
    if (newest) return { fleet, key: verifierKey(fleet, publicKey), checkpoint: newest.note }
    throw new RegistryError('unavailable', 'Nothing of the log is here yet', { retryAfter: 2 })
  }

  /**
   * RFC 9162 section 2.1.4.1, from a length to that of the newest checkpoint, which comes with it. Throws `invalid` for what is
   * longer, `unavailable` when what is held here does not suffice.
   */
  async consistency(from: number): Promise<{ checkpoint: string; proof: string }> {
    const newest = await this.#options.log.newest(from)
    if (!newest) throw new RegistryError('unavailable', 'Nothing of the log is here yet', { retryAfter: 2 })
    const hashes = await this.#options.log.tree.consistency(from, newest.number)
    return { checkpoint: newest.note, proof: Buffer.from(hashes).toString('base64') }
  }

  /** undefined when what is held here does not suffice. */
  async prove(scope: string, path: string): Promise<Proof | undefined> {
    const { log, metadata } = this.#options
    const recordedBy = await metadata.recordedBy(scope, path)
    const configuredBy = metadata.configuredBy(scope)
    const newest = await log.newest(Math.max(recordedBy ?? 0, configuredBy ?? 0))
    if (!newest) return undefined
    const file = await this.#proved(recordedBy, newest.number)
    const repository = await this.#proved(configuredBy, newest.number)
    return file && repository && { checkpoint: newest.note, file, repository }
  }

  async #proved(number: number | undefined, length: number): Promise<Proof['file'] | undefined> {
    if (number === undefined || number > length) return undefined
    const entry = await this.#options.log.entry(number)
    return entry && proved(entry, await this.#options.log.tree.proof(number, length))
  }
}
