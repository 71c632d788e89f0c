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

export class Highest {
  readonly #path: string
  #checkpoint: Checkpoint | undefined
  #writtenTime = new Date(0).toISOString()

  private constructor(path: string, checkpoint: Checkpoint | undefined) {
    this.#path = path
    this.#checkpoint = checkpoint
  }

  static async open(options: HighestOptions): Promise<Highest> {
    const path = join(options.dir, NAME)
    return new Highest(path, await read(path, options))
  }

  /** Its time is the newest signed time that was seen. */
  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint
  }

  async remember(checkpoint: Checkpoint): Promise<void> {
    const highest = this.#checkpoint
    const grows = !highest || checkpoint.epoch > highest.epoch || checkpoint.number > highest.number
    if (!grows && checkpoint.time <= highest.time) return
    this.#checkpoint = grows ? checkpoint : { ...highest, time: checkpoint.time }
    if (grows || Date.parse(checkpoint.time) - Date.parse(this.#writtenTime) > TIMES_MS)
      await this.#write(this.#checkpoint)
  }

  async #write(highest: Checkpoint): Promise<void> {
    this.#writtenTime = highest.time
    await writeSealed(this.#path, JSON.stringify({ ...highest, root: Buffer.from(highest.root).toString('base64') }))
  }
}

async function read(path: string, { fleet, onAlarm }: HighestOptions): Promise<Checkpoint | undefined> {
  const json = await readSealed(path)
  if (json === undefined) return undefined
  if (json === 'damaged') {
    onAlarm('The highest checkpoint that this node has seen is damaged; it is learned anew')
    return undefined
  }
  const value = JSON.parse(json) as Omit<Checkpoint, 'root'> & { root: string }
  return value.fleet === fleet ? { ...value, root: Buffer.from(value.root, 'base64') } : undefined
}
