/**
 * The log as a node keeps it: what it was sent, in order, and the checkpoints it was verified against. Peers that were away
 * get their missing tail from here.
 *
 *     log\0<number, 16 hex digits>   ->  CRC | {"salt","body"} or {"leaf"}, base64
 *     note\0<number, 16 hex digits>  ->  CRC | "<signed note>"
 */
import { RegistryError } from '../../protocol/errors.js'
import { type LogItem, leafOf } from '../../protocol/log/entry.js'
import { type Database, isDamage } from './database.js'
import { type Operation, seal, unseal } from './level-rows.js'

export interface Tail {
  items: LogItem[]
  note: string
}

/** A checkpoint's length, and its signed note. */
export interface StoredNote {
  number: number
  note: string
}

export class LogStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  operations(items: readonly LogItem[], notes: readonly StoredNote[]): Operation[] {
    return [
      ...items.map((item): Operation => sealed(logKey(item.number), encode(item))),
      ...notes.map(({ number, note }) => sealed(noteKey(number), JSON.stringify(note))),
    ]
  }

  /** Entries (after, end] in order, up to the first one that is damaged or lost. */
  async *items(after: number, end: number): AsyncGenerator<LogItem, void, undefined> {
    let number = after
    for await (const item of this.#sound(after, end)) {
      if (item.number !== ++number) return
      yield item
    }
  }

  /** Entries (after, end], undefined for each that is damaged or lost. */
  async held(after: number, end: number): Promise<(LogItem | undefined)[]> {
    const found = Array.from({ length: end - after }, (): LogItem | undefined => undefined)
    for await (const item of this.#sound(after, end)) found[item.number - after - 1] = item
    return found
  }

  /** The sound ones, as far as LevelDB can be read. */
  async *#sound(after: number, end: number): AsyncGenerator<LogItem, void, undefined> {
    try {
      for await (const [key, text] of this.#db.iterator({ gt: logKey(after), lte: logKey(end) })) {
        const item = decode(key, text)
        if (item) yield item
      }
    } catch (error) {
      if (!isDamage(error)) throw error
    }
  }

  /** The last checkpoint of (after, end]. */
  async lastNote(after: number, end: number): Promise<string | undefined> {
    for await (const [key, text] of this.#db.iterator({
      gt: noteKey(after),
      lte: noteKey(end),
      reverse: true,
      limit: 1,
    }))
      return readNote(key, text)?.note
    return undefined
  }

  /** Puts entries in place of held ones that have the same leaf: with their bodies, or without. Throws `corrupt` for any other. */
  async exchange(items: LogItem[]): Promise<void> {
    const operations: Operation[] = []
    for (const item of items) {
      const key = logKey(item.number)
      const text = await this.#db.get(key)
      const held = text === undefined ? undefined : decode(key, text)
      if (!held || Buffer.compare(leafOf(held), leafOf(item)) !== 0)
        throw new RegistryError('corrupt', `Entry ${item.number} of the log is not the one that is held`)
      operations.push(sealed(key, encode(item)))
    }
    await this.#db.batch(operations)
  }

  /**
   * Entries after a number, up to a checkpoint that this node verified, or to `last` where that comes first; undefined when there is
   * nothing newer or an entry is damaged.
   */
  async tail(after: number, limit: number, last?: StoredNote): Promise<Tail | undefined> {
    try {
      return await this.#tail(after, limit, last)
    } catch (error) {
      if (isDamage(error)) return undefined
      throw error
    }
  }

  async entry(number: number): Promise<LogItem | undefined> {
    const key = logKey(number)
    const text = await this.#db.get(key)
    return text === undefined ? undefined : decode(key, text)
  }

  async note(number: number): Promise<string | undefined> {
    const key = noteKey(number)
    const text = await this.#db.get(key)
    return text === undefined ? undefined : readNote(key, text)?.note
  }

  /** Packed leaf hashes of entries (after, end]. Throws `unavailable` when one is damaged. */
  async leaves(after: number, end: number): Promise<Uint8Array> {
    const leaves: Uint8Array[] = []
    for await (const [key, text] of this.#db.iterator({ gt: logKey(after), lte: logKey(end) })) {
      const item = decode(key, text)
      if (item?.number === after + leaves.length + 1) leaves.push(leafOf(item))
    }
    if (leaves.length === end - after) return Buffer.concat(leaves)
    throw new RegistryError('unavailable', 'An entry of the log is damaged here; ask another node', { retryAfter: 60 })
  }

  /** What is held beyond a number, and how to delete it. Damaged entries are left out of the first. */
  async beyond(number: number): Promise<{ items: LogItem[]; notes: string[]; operations: Operation[] }> {
    const items: LogItem[] = []
    const notes: string[] = []
    const operations: Operation[] = []
    for await (const [key, text] of this.#db.iterator({ gt: logKey(number), lt: 'log\u0001' })) {
      const item = decode(key, text)
      if (item) items.push(item)
      operations.push({ type: 'del', key })
    }
    for await (const [key, text] of this.#db.iterator({ gt: noteKey(number), lt: 'note\u0001' })) {
      const noted = readNote(key, text)
      if (noted) notes.push(noted.note)
      operations.push({ type: 'del', key })
    }
    return { items, notes, operations }
  }

  async #tail(after: number, limit: number, last?: StoredNote): Promise<Tail | undefined> {
    const found = await this.#checkpoint(after, limit)
    const end = last && (!found || found.number > last.number) ? last : found
    if (!end || end.number <= after) return undefined
    const items: LogItem[] = []
    for await (const [key, text] of this.#db.iterator({ gt: logKey(after), lte: logKey(end.number) })) {
      const item = decode(key, text)
      if (item?.number !== after + items.length + 1) return undefined
      items.push(item)
    }
    return after + items.length === end.number ? { items, note: end.note } : undefined
  }

  /** The last checkpoint within the limit, or the first one beyond it. */
  async #checkpoint(after: number, limit: number): Promise<StoredNote | undefined> {
    const within = { gt: noteKey(after), lte: noteKey(after + limit), reverse: true, limit: 1 }
    for await (const [key, text] of this.#db.iterator(within)) return readNote(key, text)
    for await (const [key, text] of this.#db.iterator({ gt: noteKey(after + limit), lt: 'note\u0001', limit: 1 }))
      return readNote(key, text)
    return undefined
  }
}

function readNote(key: string, text: string): StoredNote | undefined {
  const json = unseal(key, text)
  return json === undefined ? undefined : { number: Number.parseInt(key.slice(5), 16), note: String(JSON.parse(json)) }
}

function encode(item: LogItem): string {
  if ('leaf' in item) return JSON.stringify({ leaf: base64(item.leaf) })
  return JSON.stringify({ salt: base64(item.salt), body: base64(item.body) })
}

function decode(key: string, text: string): LogItem | undefined {
  const json = unseal(key, text)
  if (json === undefined) return undefined
  const value = JSON.parse(json) as { salt?: string; body?: string; leaf?: string }
  const number = Number.parseInt(key.slice(4), 16)
  if (value.leaf !== undefined) return { number, leaf: Buffer.from(value.leaf, 'base64') }
  if (value.salt === undefined || value.body === undefined)
    throw new RegistryError('corrupt', 'A stored log entry is not one')
  return { number, salt: Buffer.from(value.salt, 'base64'), body: Buffer.from(value.body, 'base64') }
}

function sealed(key: string, json: string): Operation {
  return { type: 'put', key, value: seal(key, json) }
}

function logKey(number: number): string {
  return `log\0${number.toString(16).padStart(16, '0')}`
}

function noteKey(number: number): string {
  return `note\0${number.toString(16).padStart(16, '0')}`
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
