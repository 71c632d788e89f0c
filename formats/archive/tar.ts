/**
 * Reads a tar archive as its bytes arrive: checks every entry, hands out the few files that are wanted, skips the rest.
 * Touches no disk. It refuses what could be used against whoever unpacks the archive later, and bounds what it holds.
 */
import { isInside, isPlainPath } from './entry-path.js'
import {
  BLOCK,
  brokenArchive,
  type Extension,
  type Header,
  isZero,
  parseHeader,
  parseLongName,
  parsePax,
} from './tar-header.js'

export interface TarLimits {
  entries: number
  /** Bytes of an entry's name. */
  name: number
}

export interface TarFile {
  path: string
  /** Bytes. */
  size: number
}

export interface TarVisitor {
  /** Called for each ordinary file: how many of its bytes are wanted, undefined for none. */
  file(file: TarFile): number | undefined
  /** The first bytes of a wanted file, as many as were asked for or there are. They stay valid. */
  content(file: TarFile, bytes: Buffer): void
  /** Called for links, which are never followed. */
  link?(path: string): void
}

/** Write all bytes in order, then `end`. Both throw `invalid`, and after that it is of no more use. */
export class TarReader {
  readonly #visitor: TarVisitor
  readonly #limits: TarLimits
  readonly #header = Buffer.alloc(BLOCK)
  #filled = 0
  #entries = 0
  #ended = false
  /** Bytes of the current entry that are still to come, without and with its padding. */
  #left = 0
  #padded = 0
  #capture: Capture | undefined
  #extension: Extension = {}

  constructor(visitor: TarVisitor, limits: TarLimits) {
    this.#visitor = visitor
    this.#limits = limits
  }

  write(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#ended) at += this.#checkPadding(chunk.subarray(at))
      else at += this.#padded > 0 ? this.#body(chunk.subarray(at)) : this.#block(chunk.subarray(at))
    }
  }

  end(): void {
    if (this.#padded > 0 || this.#filled > 0) throw brokenArchive('ends inside an entry')
    if (Object.keys(this.#extension).length > 0) throw brokenArchive('ends where an entry should be')
  }

  /** Returns how many bytes it took. */
  #body(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.#padded)
    const content = Math.min(taken, this.#left)
    if (this.#capture && content > 0) this.#capture.add(chunk.subarray(0, content))
    this.#left -= content
    this.#padded -= taken
    if (this.#left === 0) this.#deliver()
    return taken
  }

  #block(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, BLOCK - this.#filled)
    this.#header.set(chunk.subarray(0, taken), this.#filled)
    this.#filled += taken
    if (this.#filled === BLOCK) {
      this.#filled = 0
      if (isZero(this.#header)) this.#ended = true
      else this.#entry(parseHeader(this.#header))
    }
    return taken
  }

  /** After the first zero block some readers stop and some go on, so nothing may follow. */
  #checkPadding(rest: Uint8Array): number {
    if (!isZero(rest)) throw brokenArchive('goes on behind its end')
    return rest.length
  }

  #entry(header: Header): void {
    if (++this.#entries > this.#limits.entries) throw brokenArchive(`has more than ${this.#limits.entries} entries`)
    if ('xgLK'.includes(header.type)) this.#extensionHeader(header)
    else this.#object(header)
  }

  #object(header: Header): void {
    const { path = header.name, linkpath = header.target, size = header.size } = this.#extension
    this.#extension = {}
    this.#checkName(path)
    // Old archives have no type for folders but a slash at the end of their names.
    const type = header.type === '0' && path.endsWith('/') ? '5' : header.type
    if (type === '0') {
      this.#file({ path, size })
      return
    }
    if (!'125'.includes(type))
      throw brokenArchive(`holds an entry that is neither file, folder nor link (${JSON.stringify(type)})`)
    if (size !== 0) throw brokenArchive('has a folder or link with content')
    if (type === '5') return
    this.#checkLink(path, linkpath, type === '1')
    this.#visitor.link?.(path)
  }

  #file(file: TarFile): void {
    const wanted = this.#visitor.file(file)
    this.#expect(file.size, wanted, (bytes) => this.#visitor.content(file, bytes))
  }

  #extensionHeader({ type, size }: Header): void {
    // A name, its key and the length in digits; other pax records are short.
    const limit = this.#limits.name * 4 + BLOCK
    if (size > limit) throw brokenArchive('has an entry whose name is too long')
    this.#expect(size, size, (content) => this.#extend(type, content))
  }

  #extend(type: string, content: Buffer): void {
    const said =
      type === 'L'
        ? { path: parseLongName(content) }
        : type === 'K'
          ? { linkpath: parseLongName(content) }
          : parsePax(content)
    const keys = Object.keys(said)
    // Readers disagree on whether a global header names the entries after it, and on which of two names wins.
    if (type === 'g' && keys.length > 0) throw brokenArchive('has a global header that names entries')
    if (keys.some((key) => key in this.#extension)) throw brokenArchive('names an entry twice')
    Object.assign(this.#extension, said)
  }

  #expect(size: number, wanted: number | undefined, deliver: (bytes: Buffer) => void): void {
    this.#left = size
    this.#padded = Math.ceil(size / BLOCK) * BLOCK
    this.#capture = wanted === undefined ? undefined : new Capture(Math.min(wanted, size), deliver)
    if (size === 0) this.#deliver()
  }

  #deliver(): void {
    const capture = this.#capture
    this.#capture = undefined
    capture?.end()
  }

  #checkName(path: string): void {
    if (Buffer.byteLength(path) > this.#limits.name) throw brokenArchive('has an entry whose name is too long')
    if (!isPlainPath(path))
      throw brokenArchive(`has an entry that would be unpacked elsewhere: ${JSON.stringify(path.slice(0, 200))}`)
  }

  #checkLink(path: string, target: string, isHard: boolean): void {
    // A hard link's target is a path of the archive, a symbolic link's is relative to its own folder.
    if (!(isHard ? isPlainPath(target) : isInside(path, target)))
      throw brokenArchive(`has a link that leads out of it: ${JSON.stringify(path.slice(0, 200))}`)
  }
}

/** Keeps the first bytes of an entry. */
class Capture {
  readonly #bytes: Buffer
  readonly #deliver: (bytes: Buffer) => void
  #filled = 0

  constructor(size: number, deliver: (bytes: Buffer) => void) {
    this.#bytes = Buffer.alloc(size)
    this.#deliver = deliver
  }

  add(chunk: Uint8Array): void {
    const part = chunk.subarray(0, this.#bytes.length - this.#filled)
    this.#bytes.set(part, this.#filled)
    this.#filled += part.length
  }

  end(): void {
    this.#deliver(this.#bytes)
  }
}
