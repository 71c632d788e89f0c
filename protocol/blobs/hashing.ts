/**
 * All hashes of a blob in one pass over its bytes, wherever the chunks end: SHA-256, the leaves and root of its tree, and what
 * else is asked for. Bytes are hashed where they lie, never copied. It blocks for as long as a chunk takes (about 1 ms per MiB).
 */
import { createHash, type Hash } from 'node:crypto'
import { Frontier, HASH_BYTES, LEAF_BYTES, leafHash } from '../merkle.js'
import type { Digest, Hashes, HashName, Stored } from '../records.js'
import { bounded } from './bounded.js'

export interface Hashed {
  stored: Stored
  /** Leaf hashes, 32 bytes each. */
  leaves: Uint8Array
}

/** Reads a body to its end. Throws `too_large` beyond `limit` bytes. */
export async function hashBody(
  body: AsyncIterable<Uint8Array>,
  options: { hashes?: readonly HashName[]; limit: number; signal?: AbortSignal },
): Promise<Hashed> {
  const hasher = new Hasher(options.hashes)
  for await (const chunk of bounded(body, options.limit, options.signal)) hasher.update(chunk)
  return hasher.finish()
}

export class Hasher {
  #size = 0
  readonly #digest = createHash('sha256')
  readonly #asked: readonly [HashName, Hash][]
  readonly #frontier = new Frontier()
  /** Grows by doubling: the leaves of 20 GiB are 10 MiB. */
  #leaves = new Uint8Array(HASH_BYTES)
  /** The leaf that is not full yet; undefined at a leaf's border. */
  #leaf: Hash | undefined

  constructor(hashes: readonly HashName[] = []) {
    this.#asked = [...new Set(hashes)].map((name) => [name, createHash(name)])
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size
  }

  has(hashes: readonly HashName[]): boolean {
    return hashes.every((name) => this.#asked.some(([asked]) => asked === name))
  }

  update(chunk: Uint8Array): void {
    this.#digest.update(chunk)
    for (const [, hash] of this.#asked) hash.update(chunk)
    for (let at = 0; at < chunk.length; ) {
      const room = LEAF_BYTES - (this.#size % LEAF_BYTES)
      const part = room >= chunk.length - at && at === 0 ? chunk : chunk.subarray(at, at + room)
      this.#updateLeaf(part, room)
      at += part.length
      this.#size += part.length
    }
  }

  /** Once, at the end. */
  finish(): Hashed {
    if (this.#leaf) this.#append(this.#leaf.digest())
    const hashes: Hashes = {}
    for (const [name, hash] of this.#asked) hashes[name] = hash.digest('hex')
    const digest = this.#digest.digest('hex') as Digest
    const root = Buffer.from(this.#frontier.root()).toString('hex')
    return {
      stored: { digest, size: this.#size, root, hashes },
      leaves: this.#leaves.subarray(0, this.#frontier.size * HASH_BYTES),
    }
  }

  #updateLeaf(part: Uint8Array, room: number): void {
    if (!this.#leaf && part.length === LEAF_BYTES) {
      this.#append(leafHash(part))
      return
    }
    this.#leaf ??= createHash('sha256').update(LEAF_PREFIX)
    this.#leaf.update(part)
    if (part.length < room) return
    this.#append(this.#leaf.digest())
    this.#leaf = undefined
  }

  #append(leaf: Uint8Array): void {
    const at = this.#frontier.size * HASH_BYTES
    if (at === this.#leaves.length) this.#leaves = doubled(this.#leaves)
    this.#leaves.set(leaf, at)
    this.#frontier.append(leaf)
  }
}

const LEAF_PREFIX = Uint8Array.of(0)

function doubled(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes.length * 2)
  larger.set(bytes)
  return larger
}
