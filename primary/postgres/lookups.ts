/**
 * Looks up rows by key, those that are asked for while a query runs together in the next one: a round trip costs this process and
 * the database more than a row. A query begins after all that it answers was asked, so that nobody is told what was before.
 */
import { keyText, type RowKey, type Table, type Tables } from '../../protocol/metadata/rows.js'

type Value = Tables[Table]
type Read = (keys: RowKey[]) => Promise<Map<string, Value>>

const MAX_KEYS = 256

interface Waiting {
  key: RowKey
  resolve(value: Value | undefined): void
  reject(error: unknown): void
}

export class Lookups {
  readonly #read: Read
  #waiting: Waiting[] = []
  #running = false

  constructor(read: Read) {
    this.#read = read
  }

  get(key: RowKey): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  /** Never fails: those who wait are told. */
  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) {
      const taken = this.#waiting.splice(0, MAX_KEYS)
      try {
        const found = await this.#read(taken.map(({ key }) => key))
        for (const { key, resolve } of taken) resolve(found.get(keyText(key)))
      } catch (error) {
        for (const { reject } of taken) reject(error)
      }
    }
    this.#running = false
  }
}
