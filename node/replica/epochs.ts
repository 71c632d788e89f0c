/**
 * Which epochs this node follows. The operator's recovery key is taken from the log the first time, and kept in a file of its own:
 * from then on only one that it endorsed takes its place, whatever the log says. An epoch is followed only when its beginning is
 * signed by that key; beginnings are kept, and told to peers.
 */
import { join } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'
import { type Beginning, verifyBeginning } from '../../protocol/log/beginning.js'
import { verifyCheckpoint } from '../../protocol/log/checkpoint.js'
import type { RecoveryRecord } from '../../protocol/records.js'
import { isEndorsed, type PublicHalves } from '../../protocol/recovery/key.js'
import { readSealed, writeSealed } from './sealed-file.js'

export interface EpochsOptions {
  dir: string
  fleet: string
  /** Of the log, 32 raw bytes. */
  publicKey: Uint8Array
  onAlarm: (sentence: string) => void
}

interface Kept {
  recovery: PublicHalves | undefined
  /** Notes, by epoch. */
  beginnings: string[]
}

const NAME = 'epochs'

export class Epochs {
  readonly #path: string
  readonly #options: EpochsOptions
  #recovery: PublicHalves | undefined
  #beginnings: Beginning[]

  private constructor(path: string, options: EpochsOptions, { recovery, beginnings }: Kept) {
    this.#path = path
    this.#options = options
    this.#recovery = recovery
    this.#beginnings = beginnings.map((note) => ({
      checkpoint: verifyCheckpoint(note, options.fleet, options.publicKey),
      note,
    }))
  }

  static async open(options: EpochsOptions): Promise<Epochs> {
    const path = join(options.dir, NAME)
    const text = await readSealed(path)
    if (text === 'damaged') options.onAlarm('The recovery key that this node knew is damaged; it is learned anew')
    const kept =
      text === undefined || text === 'damaged' ? { recovery: undefined, beginnings: [] } : (JSON.parse(text) as Kept)
    return new Epochs(path, options, kept)
  }

  get recovery(): PublicHalves | undefined {
    return this.#recovery
  }

  /** In order. */
  get beginnings(): readonly Beginning[] {
    return this.#beginnings
  }

  /** The newest. */
  get current(): number {
    return this.#beginnings.at(-1)?.checkpoint.epoch ?? 1
  }

  /** The log names a recovery key. One that the known one did not endorse is not believed, and said so. */
  async learn(record: RecoveryRecord): Promise<void> {
    const known = this.#recovery
    const { signing, sealing } = record
    if (known?.signing === signing && known.sealing === sealing) return
    if (known && !isEndorsed(record, known.signing, this.#options.publicKey)) {
      this.#options.onAlarm('The log names another recovery key, which the one before did not endorse; it is ignored')
      return
    }
    this.#recovery = { signing, sealing }
    await this.#write()
  }

  /** The beginning of an epoch after all that are known. Throws `corrupt` unless the known recovery key signed it. */
  prove(note: string): Beginning | undefined {
    const { fleet, publicKey } = this.#options
    const { epoch } = verifyCheckpoint(note, fleet, publicKey)
    if (epoch <= this.current) return undefined
    if (this.#recovery) return verifyBeginning(note, fleet, publicKey, Buffer.from(this.#recovery.signing, 'base64url'))
    throw new RegistryError('corrupt', `Epoch ${epoch} was begun, and no recovery key is known here`, {
      code: 'epoch_unproved',
    })
  }

  /** Of one that was proved. */
  async follow(beginning: Beginning): Promise<void> {
    this.#beginnings = [...this.#beginnings, beginning]
    await this.#write()
  }

  async #write(): Promise<void> {
    const kept: Kept = { recovery: this.#recovery, beginnings: this.#beginnings.map(({ note }) => note) }
    await writeSealed(this.#path, JSON.stringify(kept))
  }
}
