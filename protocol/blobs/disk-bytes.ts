/**
 * A blob on disk as Bytes. Every leaf is checked against the blob's tree before it is given out, unless this process has
 * verified the whole blob and its file has not changed since (trust.ts).
 */
import { RegistryError } from '../errors.js'
import { hashAt, isRoot, LEAF_BYTES, leafHash, Tree } from '../merkle.js'
import type { Bytes } from '../ports.js'
import type { Stored } from '../records.js'
import { type Buffers, READ_BYTES } from './buffers.js'
import { closeFile, closeNow, openFile, readFully, statOf } from './descriptor.js'
import type { Healing } from './healing.js'
import type { Shelf } from './shelf.js'
import { corrupt, leavesOf, missing, type Trees } from './trees.js'
import type { Trust } from './trust.js'

/** What reading needs of a store. */
export interface Reading {
  shelf: Shelf
  trust: Trust
  trees: Trees
  healing: Healing
  buffers: Buffers
  source: Bytes['source']
}

/** Up to this size a blob is wholly checked when it is opened, so that damage is known before a reply has begun. */
const CHECKED_BYTES = 1024 * 1024
/** Up to this size it is then also in memory. */
const HELD_BYTES = 256 * 1024

/** Throws `unavailable` when there are no bytes, `corrupt` when they are wrong and cannot be healed. */
export async function openBytes(reading: Reading, stored: Stored, scope: string): Promise<Bytes> {
  if (stored.size <= HELD_BYTES) return new HeldBytes(await readWhole(reading, stored, scope), reading.source)
  await checkFile(reading, stored, scope)
  return new DiskBytes(reading, stored, scope)
}

/** Bytes that are in memory. */
export class HeldBytes implements Bytes {
  readonly source: Bytes['source']
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array, source: Bytes['source']) {
    this.#bytes = bytes
    this.source = source
  }

  get size(): number {
    return this.#bytes.length
  }

  async *read(
    range?: { start: number; end: number },
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { start, end } = rangeWithin(this.size, range)
    signal?.throwIfAborted()
    if (start < end) yield this.#bytes.subarray(start, end)
  }
}

class DiskBytes implements Bytes {
  readonly size: number
  readonly source: Bytes['source']
  readonly #reading: Reading
  readonly #stored: Stored
  readonly #scope: string

  constructor(reading: Reading, stored: Stored, scope: string) {
    this.#reading = reading
    this.#stored = stored
    this.#scope = scope
    this.size = stored.size
    this.source = reading.source
  }

  async *read(
    range?: { start: number; end: number },
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { start, end } = rangeWithin(this.size, range)
    if (start === end) return
    const descriptor = await openFile(this.#reading.shelf.layout.blob(this.#stored.digest), 'read')
    if (descriptor === undefined) throw missing(this.#stored)
    try {
      yield* this.#chunks(descriptor, start, end, signal)
    } finally {
      await closeFile(descriptor)
    }
  }

  /**
   * Whole leaves are read and checked; what the range does not ask for is cut off. While a chunk is on its way to the client the
   * next one is read.
   */
  async *#chunks(
    descriptor: number,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { trust } = this.#reading
    const check = trust.begin(statOf(descriptor))
    const first = start - (start % LEAF_BYTES)
    const stop = Math.min(end + LEAF_BYTES - 1 - ((end + LEAF_BYTES - 1) % LEAF_BYTES), this.size)
    const reader = new AheadReader(this.#reading.buffers, descriptor, first, stop)
    let verified = first === 0 && stop === this.size
    try {
      for (let at = first; at < stop; ) {
        signal?.throwIfAborted()
        const { chunk, filled } = await reader.next()
        if (trust.has(this.#stored.root, statOf(descriptor))) verified = false
        else await this.#verify(chunk, filled, at, signal)
        yield chunk.subarray(Math.max(0, start - at), Math.min(chunk.length, end - at))
        at += chunk.length
      }
    } finally {
      await reader.close()
    }
    if (verified) trust.add(this.#stored.root, check, statOf(descriptor))
  }

  /** Checks and heals in place. `filled` is less than the chunk when the file is too short. */
  async #verify(chunk: Uint8Array, filled: number, at: number, signal?: AbortSignal): Promise<void> {
    const tree = await this.#reading.trees.get(this.#stored)
    for (let offset = 0; offset < chunk.length; offset += LEAF_BYTES) {
      const leaf = chunk.subarray(offset, offset + LEAF_BYTES)
      const index = (at + offset) / LEAF_BYTES
      const right = offset + leaf.length <= filled && Buffer.compare(leafHash(leaf), hashAt(tree.leaves, index)) === 0
      if (!right) leaf.set(await this.#reading.healing.leaf(this.#stored, this.#scope, tree, index, signal))
    }
  }
}

interface Filled {
  chunk: Uint8Array
  /** Less than the chunk when the file is too short. */
  filled: number
}

/** Chunks of a file, one ahead of the one that was asked for. */
class AheadReader {
  /** undefined when there is one chunk only: whoever takes it may keep it. */
  readonly #buffers: Buffers | undefined
  readonly #descriptor: number
  readonly #stop: number
  #at: number
  /** Free again; at most one. */
  #spare: Uint8Array | undefined
  #given: Uint8Array | undefined
  #reading: Promise<Filled> | undefined

  constructor(buffers: Buffers, descriptor: number, first: number, stop: number) {
    this.#buffers = stop - first > READ_BYTES ? buffers : undefined
    this.#descriptor = descriptor
    this.#at = first
    this.#stop = stop
  }

  /** Not to be called beyond the end. */
  async next(): Promise<Filled> {
    this.#spare = this.#given
    this.#given = undefined
    const filled = await (this.#reading ?? this.#read())
    this.#given = filled.chunk
    const ahead = this.#at < this.#stop && (this.#spare !== undefined || this.#buffers?.plenty)
    this.#reading = ahead ? this.#read() : undefined
    // Who asks for it next hears of a failure; until then nobody listens, and that must not end the process.
    this.#reading?.catch(() => undefined)
    return filled
  }

  /** Last, in every case: the descriptor must not be closed under a read. */
  async close(): Promise<void> {
    const unread = await this.#reading?.catch(() => undefined)
    for (const chunk of [this.#spare, this.#given, unread?.chunk]) this.#giveBack(chunk)
  }

  async #read(): Promise<Filled> {
    const [at, length] = [this.#at, Math.min(this.#stop - this.#at, READ_BYTES)]
    const buffer = this.#spare ?? this.#buffers?.take() ?? Buffer.allocUnsafeSlow(length)
    this.#spare = undefined
    this.#at += length
    const chunk = buffer.subarray(0, length)
    try {
      return { chunk, filled: await readFully(this.#descriptor, chunk, at) }
    } catch (error) {
      this.#giveBack(buffer)
      throw error
    }
  }

  #giveBack(chunk: Uint8Array | undefined): void {
    if (chunk) this.#buffers?.give(chunk)
  }
}

/** A small blob, checked. */
async function readWhole(reading: Reading, stored: Stored, scope: string): Promise<Uint8Array> {
  const bytes = await readChecked(reading, stored)
  if (bytes) return bytes
  if (!reading.healing.possible) throw corrupt(stored)
  await reading.healing.whole(stored, scope)
  const healed = await readChecked(reading, stored)
  if (!healed) throw corrupt(stored)
  return healed
}

/** undefined: they are wrong. */
async function readChecked({ shelf, trust }: Reading, stored: Stored): Promise<Uint8Array | undefined> {
  const descriptor = await openFile(shelf.layout.blob(stored.digest), 'read')
  if (descriptor === undefined) throw missing(stored)
  try {
    const check = trust.begin(statOf(descriptor))
    if (check.state.size !== stored.size) return undefined
    const bytes = Buffer.allocUnsafeSlow(stored.size)
    if ((await readFully(descriptor, bytes, 0)) < stored.size) return undefined
    if (trust.has(stored.root, statOf(descriptor))) return bytes
    if (!isRoot(new Tree(leavesOf(bytes)).root, stored.root)) return undefined
    trust.add(stored.root, check, statOf(descriptor))
    return bytes
  } finally {
    closeNow(descriptor)
  }
}

/** A larger blob is there, has its length, and its tree is at hand; if it is not very large its bytes are right, too. */
async function checkFile(reading: Reading, stored: Stored, scope: string): Promise<void> {
  const descriptor = await openFile(reading.shelf.layout.blob(stored.digest), 'read')
  if (descriptor === undefined) throw missing(stored)
  let state: ReturnType<typeof statOf>
  try {
    state = statOf(descriptor)
  } finally {
    closeNow(descriptor)
  }
  if (reading.trust.has(stored.root, state)) return
  if (state.size !== stored.size && !reading.healing.possible) throw corrupt(stored)
  if (state.size !== stored.size) await reading.healing.resize(stored)
  await ensureTree(reading, stored, scope)
  if (stored.size > CHECKED_BYTES) return
  for await (const _ of new DiskBytes(reading, stored, scope).read());
}

async function ensureTree(reading: Reading, stored: Stored, scope: string): Promise<void> {
  try {
    await reading.trees.get(stored)
  } catch (error) {
    if (!(error instanceof RegistryError) || error.kind !== 'corrupt' || !reading.healing.possible) throw error
    await reading.healing.whole(stored, scope)
  }
}

/** Throws `range`. */
export function rangeWithin(size: number, range = { start: 0, end: size }): { start: number; end: number } {
  const { start, end } = range
  const inside = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= size
  if (!inside) throw new RegistryError('range', `The blob has ${size} bytes`)
  return { start, end }
}
