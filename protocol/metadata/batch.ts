/** Several changes reduced one after another over one set of rows; a refused group leaves no trace. */
import type { Change } from '../records.js'
import { type ReadRow, type Rules, reduce } from './reduce.js'
import { keyText, type RowKey, type Rows, type RowWrite, type Table, type Tables } from './rows.js'

export class Batch {
  /** Everything read or written so far, by key text; `undefined` values are known absences. */
  readonly #seen = new Map<string, Tables[Table] | undefined>()
  readonly #written: RowWrite[] = []
  readonly #rows: Pick<Rows, 'get'>

  constructor(rows: Pick<Rows, 'get'>) {
    this.#rows = rows
  }

  /** What a store fetched beforehand. Keys that were asked for and are not there are known to be absent. */
  know(keys: RowKey[], found: Map<string, Tables[Table]>): void {
    for (const key of keys) {
      const text = keyText(key)
      if (!this.#seen.has(text)) this.#seen.set(text, found.get(text))
    }
  }

  /** All of a group's changes or none: when it throws, the batch is as it was before. */
  async add(group: { change: Change; number: number }[], rules?: Rules): Promise<RowWrite[]> {
    const own = new Map<string, RowWrite>()
    const all: RowWrite[] = []
    const read: ReadRow = async <T extends Table>(key: RowKey<T>) => {
      const text = keyText(key)
      const mine = own.get(text)
      return (mine ? mine.value : await this.#get(text, key)) as Tables[T] | undefined
    }
    for (const { change, number } of group) {
      for (const write of await reduce(change, number, read, rules)) {
        own.set(keyText(write.key), write)
        all.push(write)
      }
    }
    return all
  }

  /** Makes a group's writes visible to the groups that follow. */
  accept(writes: RowWrite[]): void {
    for (const write of writes) {
      this.#seen.set(keyText(write.key), write.value)
      this.#written.push(write)
    }
  }

  /** The row as the batch found or left it. */
  async before<T extends Table>(key: RowKey<T>): Promise<Tables[T] | undefined> {
    return (await this.#get(keyText(key), key)) as Tables[T] | undefined
  }

  /** In order; a row that is written twice is there twice. */
  get writes(): readonly RowWrite[] {
    return this.#written
  }

  /** The last write of each row. */
  get final(): RowWrite[] {
    return [...new Map(this.#written.map((write) => [keyText(write.key), write])).values()]
  }

  async #get(text: string, key: RowKey): Promise<Tables[Table] | undefined> {
    if (this.#seen.has(text)) return this.#seen.get(text)
    const value = await this.#rows.get(key)
    this.#seen.set(text, value)
    return value
  }
}

/** Bytes that a group of writes adds to a repository's visible files (negative when it removes some). */
export async function growth(writes: RowWrite[], batch: Batch): Promise<number> {
  let bytes = 0
  const sizes = new Map<string, number>()
  for (const write of writes) {
    if (write.key.table !== 'file') continue
    const text = keyText(write.key)
    const before = sizes.get(text) ?? live(await batch.before(write.key as RowKey<'file'>))
    const after = live(write.value as Tables['file'] | undefined)
    sizes.set(text, after)
    bytes += after - before
  }
  return bytes
}

function live(row: Tables['file'] | undefined): number {
  return row && !row.removedAt ? row.size : 0
}
