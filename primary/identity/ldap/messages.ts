/**
 * What a directory server sends, cut into messages (RFC 4511) and looked at before the library sees them: ldapts takes an answer without a
 * result for a success, and never comes back from one whose lengths do not fit. One at a time, and none without end.
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { BerReader, PagedResultsControl, SearchResponse } from 'ldapts'
import { RegistryError } from '../../../protocol/errors.js'

interface Element {
  tag: number
  /** Where its contents are. */
  start: number
  end: number
}

const MAX_MESSAGE_BYTES = 1024 * 1024
const MAX_BYTES = 256 * 1024 * 1024
const [INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET] = [0x02, 0x04, 0x0a, 0x30, 0x31]
const [ENTRY, DONE, REFERENCE, CONTROLS] = [0x64, 0x65, 0x73, 0xa0]

/** In place of a socket that is connected. */
export class Messages extends Duplex {
  readonly connecting = false
  readonly readyState = 'open'
  /** The last search has not told all: its next page was not asked for. */
  hasMore = false
  readonly #socket: Socket
  readonly #host: string
  #held: Buffer = Buffer.alloc(0)
  #bytes = 0

  constructor(socket: Socket, host: string) {
    super()
    this.#socket = socket
    this.#host = host
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => this.destroy())
  }

  override _read(): void {}

  override _write(bytes: Uint8Array, _: string, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #take(bytes: Buffer): void {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes])
    this.#bytes += bytes.length
    try {
      if (this.#bytes > MAX_BYTES) throw new RangeError('more than it may send')
      for (let end = messageEnd(this.#held); end !== undefined; end = messageEnd(this.#held)) {
        const message = this.#held.subarray(0, end)
        if (checkMessage(message) === DONE) this.hasMore = hasCookie(message)
        this.#held = this.#held.subarray(end)
        this.push(message)
      }
    } catch (cause) {
      this.destroy(new RegistryError('unavailable', `${this.#host} does not answer as a directory does`, { cause }))
    }
  }
}

/** Of the first message; undefined: it is not whole. Throws for what cannot be one. */
export function messageEnd(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined
  if (bytes[0] !== SEQUENCE) throw new RangeError('no message')
  const header = headerAt(bytes, 0)
  if (!header) return undefined
  if (header.end > MAX_MESSAGE_BYTES) throw new RangeError('a message that is too long')
  return header.end <= bytes.length ? header.end : undefined
}

/** The kind of a whole message. Throws unless all in it is where it belongs. */
export function checkMessage(message: Buffer): number {
  const [all] = elements(message, { start: 0, end: message.length })
  const [id, operation, controls] = inside(message, all, SEQUENCE)
  if (!operation || id?.tag !== INTEGER) throw new RangeError('no message')
  const parts = elements(message, operation)
  if (operation.tag === ENTRY) checkEntry(message, parts)
  else if (operation.tag === REFERENCE) demand(parts, OCTETS)
  else {
    if (parts.length < 3) throw new RangeError('an answer without a result')
    demand(parts.slice(0, 1), ENUMERATED)
    demand(parts.slice(1, 3), OCTETS)
  }
  if (controls) for (const control of inside(message, controls, CONTROLS)) inside(message, control, SEQUENCE)
  return operation.tag
}

function checkEntry(message: Buffer, [name, attributes]: Element[]): void {
  demand(name ? [name] : [], OCTETS)
  for (const attribute of inside(message, attributes, SEQUENCE)) {
    const [type, values] = inside(message, attribute, SEQUENCE)
    demand(type ? [type] : [], OCTETS)
    demand(inside(message, values, SET), OCTETS)
  }
}

function inside(message: Buffer, element: Element | undefined, tag: number): Element[] {
  if (element?.tag !== tag) throw new RangeError(`not a ${tag}`)
  return elements(message, element)
}

function demand(parts: Element[], tag: number): void {
  if (parts.some((part) => part.tag !== tag)) throw new RangeError(`not a ${tag}`)
}

/** What stands there side by side. */
function elements(bytes: Buffer, { start, end }: Pick<Element, 'start' | 'end'>): Element[] {
  const found: Element[] = []
  for (let at = start; at < end; ) {
    const element = headerAt(bytes, at)
    if (!element || element.end > end) throw new RangeError('a length that does not fit')
    found.push(element)
    at = element.end
  }
  return found
}

/** undefined: the bytes end before its length does. */
function headerAt(bytes: Buffer, at: number): Element | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]]
  if (tag === undefined || first === undefined) return undefined
  if (first < 0x80) return { tag, start: at + 2, end: at + 2 + first }
  const size = first - 0x80
  if (size < 1 || size > 4) throw new RangeError('a length that cannot be read')
  const start = at + 2 + size
  return start > bytes.length ? undefined : { tag, start, end: start + bytes.readUIntBE(at + 2, size) }
}

/** RFC 2696: there is another page. */
function hasCookie(message: Buffer): boolean {
  const reader = new BerReader(message)
  reader.readSequence()
  reader.readInt()
  reader.readSequence()
  const response = new SearchResponse({ messageId: 0 })
  response.parse(reader, [])
  return (response.controls ?? []).some(
    (control) => control instanceof PagedResultsControl && (control.value?.cookie?.length ?? 0) > 0,
  )
}
