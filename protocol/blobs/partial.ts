/**
 * A blob that a transfer fills in any order. It lies in incoming/ and is lost with the process: what survived could be trusted
 * only by hashing it all again. Its bytes were verified before they were written, so reading does not hash them a second time.
 */
import { RegistryError } from '../errors.js'
import { countOf, isRoot, LEAF_BYTES, leafCount, pieceLevel, rootOf } from '../merkle.js'
import type { Stored } from '../records.js'
import { readFully, truncateFile, writeFully } from './descriptor.js'
import { PartialTree } from './partial-tree.js'
import type { Piece } from './piece.js'
import { Running } from './running.js'
import type { Shelf } from './shelf.js'
import type { Temporary } from './temporary.js'
import { corrupt } from './trees.js'

export class Partial {
  readonly stored: Stored
  /** Leaves of the whole blob. */
  readonly leaves: number
  readonly #shelf: Shelf
  readonly #file: Temporary
  readonly #tree: PartialTree
  readonly #have: Uint8Array
  readonly #running = new Running()
  #missing: number
  #completing: Promise<void> | undefined
  #completed = false
  #closing: Promise<void> | undefined

  private constructor(shelf: Shelf, file: Temporary, stored: Stored) {
    this.#shelf = shelf
    this.#file = file
    this.stored = stored
    this.leaves = leafCount(stored.size)
    this.#missing = this.leaves
    this.#have = new Uint8Array(Math.ceil(this.leaves / 8))
    this.#tree = new PartialTree(this.leaves, stored.root)
  }

  static async create(shelf: Shelf, stored: Stored): Promise<Partial> {
    const file = await shelf.create()
    try {
      await truncateFile(file.descriptor, stored.size)
      return new Partial(shelf, file, stored)
    } catch (error) {
      await file.discard()
      throw error
    }
  }

  /** How many leaves are not there yet. */
  get missing(): number {
    return this.#missing
  }

  /** One bit a leaf, lowest bit of the first byte first. A copy. */
  get bitmap(): Uint8Array {
    return this.#have.slice()
  }

  /** Are all of these leaves there. */
  has(firstLeaf: number, count = 1): boolean {
    for (let leaf = firstLeaf; leaf < firstLeaf + count; leaf++)
      if (((this.#have[leaf >> 3] ?? 0) & (1 << (leaf & 7))) === 0) return false
    return firstLeaf >= 0 && firstLeaf + count <= this.leaves
  }

  /** All leaf hashes of the blob, from wherever; afterwards pieces need no proof. Throws `corrupt` when they do not give the root. */
  learn(leafHashes: Uint8Array): void {
    if (countOf(leafHashes) !== this.leaves) throw corrupt(this.stored)
    if (this.leaves > 0 && !this.#tree.add(0, leafHashes, NOTHING)) throw corrupt(this.stored)
  }

  /**
   * A piece whose leaf hashes the caller has computed from these bytes. They are checked against the root by the proof, or by what
   * is known of the tree; with neither, the caller's own check counts until `complete`. Throws `corrupt` and takes nothing when
   * they do not belong to the blob.
   */
  async write(firstLeaf: number, bytes: Uint8Array, leafHashes: Uint8Array, proof?: Uint8Array): Promise<void> {
    const count = countOf(leafHashes)
    pieceLevel(firstLeaf, count, this.leaves)
    const start = firstLeaf * LEAF_BYTES
    if (bytes.length !== Math.min(count * LEAF_BYTES, this.stored.size - start))
      throw new RegistryError('invalid', 'A piece has other bytes than its leaf hashes')
    const belongs = proof ? this.#tree.add(firstLeaf, leafHashes, proof) : this.#tree.accept(firstLeaf, leafHashes)
    if (!belongs) throw corrupt(this.stored)
    await this.#running.run(async () => {
      if (this.#completing || this.has(firstLeaf, count)) return
      await writeFully(this.#file.descriptor, bytes, start)
      for (let leaf = firstLeaf; leaf < firstLeaf + count; leaf++) this.#mark(leaf)
    })
  }

  /** Bytes [start, end), in memory of their own or in `into`; undefined when some of them are not there. */
  async read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    const first = Math.floor(start / LEAF_BYTES)
    if (end > this.stored.size || start > end || !this.has(first, leafCount(end) - first)) return undefined
    const bytes = into ? into.subarray(0, end - start) : Buffer.allocUnsafeSlow(end - start)
    return this.#running.run(async () => {
      if ((await readFully(this.#file.descriptor, bytes, start)) < end - start) throw corrupt(this.stored)
      return bytes
    })
  }

  /** A piece for another peer; undefined when its bytes are not there, or not enough of the tree is known to prove it. */
  async piece(firstLeaf: number, count: number): Promise<Piece | undefined> {
    if (!this.has(firstLeaf, count)) return undefined
    const proof = this.#tree.proof(firstLeaf, count)
    const start = firstLeaf * LEAF_BYTES
    const bytes = proof && (await this.read(start, Math.min(start + count * LEAF_BYTES, this.stored.size)))
    return proof && bytes && { bytes, proof }
  }

  /**
   * Makes it a blob: synced, named, durable when it returns. It can still be read here until it is closed. Throws `invalid` while
   * leaves are missing, `corrupt` when what the caller verified is not this blob.
   */
  async complete(): Promise<void> {
    if (this.#missing > 0) throw new RegistryError('invalid', `${this.#missing} leaves of the blob are missing`)
    this.#completing ??= this.#running.run(async () => {
      if (!isRoot(rootOf(this.#tree.leaves), this.stored.root)) throw corrupt(this.stored)
      await this.#shelf.place(this.#file, this.stored.digest, this.#tree.leaves)
      this.#completed = true
    })
    await this.#completing
  }

  /** Waits for reads and writes that run; what was not completed is gone. */
  async close(): Promise<void> {
    this.#closing ??= this.#running.close().then(async () => {
      if (this.#completed) this.#file.close()
      else await this.#file.discard()
    })
    await this.#closing
  }

  #mark(leaf: number): void {
    const byte = this.#have[leaf >> 3] ?? 0
    const bit = 1 << (leaf & 7)
    if ((byte & bit) !== 0) return
    this.#have[leaf >> 3] = byte | bit
    this.#missing--
  }
}

const NOTHING = new Uint8Array(0)
