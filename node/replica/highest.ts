/**
 * The highest checkpoint that a node ever accepted, in a file of its own beside LevelDB, replaced atomically and synced: neither a
 * lost tail nor an old copy of the database rolls it back.
 */
import { join } from 'node:path'
import type { Checkpoint } from '../../protocol/log/checkpoint.js'
import { readSealed, writeSealed } from './sealed-file.js'

const NAME = 'checkpoint'
/** An idle log is signed again and again; of those that only tell the time, one a minute is kept. */
const TIMES_MS = 60_000

export interface HighestOptions {
  dir: string
  fleet: string
  onAlarm: (sentence: string) => void
}

/** A checkpoint and the signed note that says it. */
export interface Signed {
  checkpoint: Checkpoint
  note: string
}

export class Highest {
  readonly #path: string
  #signed: Signed | undefined
  #writtenTime = new Date(0).toISOString()

  private constructor(path: string, signed: Signed | undefined) {
    this.#path = path
    this.#signed = signed
  }

  static async open(options: HighestOptions): Promise<Highest> {
    const path = join(options.dir, NAME)
    return new Highest(path, await read(path, options))
  }

  /** Its time is the newest signed time that was seen. */
  get signed(): Signed | undefined {
    return this.#signed
  }

  /** Of one that contradicts nothing that was remembered before. */
  async remember(signed: Signed): Promise<void> {
    const { checkpoint } = signed
    const highest = this.#signed?.checkpoint
    if (highest && checkpoint.epoch < highest.epoch) return
    const grows = !highest || checkpoint.epoch > highest.epoch || checkpoint.number > highest.number
    if (!grows && (checkpoint.number < highest.number || checkpoint.time <= highest.time)) return
    this.#signed = signed
    if (grows || Date.parse(checkpoint.time) - Date.parse(this.#writtenTime) > TIMES_MS) await this.#write(signed)
  }

  async #write({ checkpoint, note }: Signed): Promise<void> {
    this.#writtenTime = checkpoint.time
    const json = JSON.stringify({ ...checkpoint, root: Buffer.from(checkpoint.root).toString('base64'), note })
    await writeSealed(this.#path, json)
  }
}

async function read(path: string, { fleet, onAlarm }: HighestOptions): Promise<Signed | undefined> {
  const json = await readSealed(path)
  if (json === undefined) return undefined
  if (json === 'damaged') {
    onAlarm('The highest checkpoint that this node has seen is damaged; it is learned anew')
    return undefined
  }
  // Those of earlier versions have no note.
  const { note = '', root, ...rest } = JSON.parse(json) as Omit<Checkpoint, 'root'> & { root: string; note?: string }
  return rest.fleet === fleet ? { checkpoint: { ...rest, root: Buffer.from(root, 'base64') }, note } : undefined
}
