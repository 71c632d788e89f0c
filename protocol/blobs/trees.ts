/**
 * The trees of blobs on disk, each checked against the root in its record: kept in memory up to a limit, read from the list
 * beside the blob, or made again from the bytes when that list is missing or wrong.
 */
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import { HASH_BYTES, isRoot, LEAF_BYTES, leafCount, leafHash, Tree } from '../merkle.js'
import type { Stored } from '../records.js'
import { READ_BYTES } from './buffers.js'
import { closeFile, openFile, readFully, statOf } from './descriptor.js'
import { TREE_ABOVE_BYTES } from './layout.js'
import type { Shelf } from './shelf.js'

export class Trees {
  readonly #shelf: Shelf
  readonly #kept: LRUCache<string, Tree>
  readonly #loading = new Map<string, Promise<Tree>>()

  constructor(shelf: Shelf, maxBytes: number) {
    this.#shelf = shelf
    this.#kept = new LRUCache({ maxSize: maxBytes, sizeCalculation: (tree) => 512 + 2 * tree.leaves.length })
  }

  /** Throws `corrupt` when the bytes on disk cannot give the tree that the record means, `unavailable` when there are none. */
  async get(stored: Stored): Promise<Tree> {
    const kept = this.#kept.get(stored.root)
    if (kept) return kept
    const running = this.#loading.get(stored.root)
    if (running) return running
    const loading = this.#load(stored).finally(() => this.#loading.delete(stored.root))
    this.#loading.set(stored.root, loading)
    return loading
  }

  async #load(stored: Stored): Promise<Tree> {
    const tree = (await this.#read(stored)) ?? (await this.#make(stored))
    this.#kept.set(stored.root, tree)
    return tree
  }

  async #read(stored: Stored): Promise<Tree | undefined> {
    if (stored.size <= TREE_ABOVE_BYTES) return undefined
    const descriptor = await openFile(this.#shelf.layout.tree(stored.digest), 'read').catch(() => undefined)
    if (descriptor === undefined) return undefined
    try {
      const leaves = Buffer.allocUnsafeSlow(leafCount(stored.size) * HASH_BYTES)
      if (statOf(descriptor).size !== leaves.length) return undefined
      if ((await readFully(descriptor, leaves, 0)) < leaves.length) return undefined
      const tree = new Tree(leaves)
      return isRoot(tree.root, stored.root) ? tree : undefined
    } finally {
      await closeFile(descriptor)
    }
  }

  async #make(stored: Stored): Promise<Tree> {
    const descriptor = await openFile(this.#shelf.layout.blob(stored.digest), 'read')
    if (descriptor === undefined) throw missing(stored)
    try {
      const tree = new Tree(await hashLeaves(descriptor, stored.size))
      if (!isRoot(tree.root, stored.root)) throw corrupt(stored)
      // It only saves the next process this work: a disk that is full must not keep the bytes from being read.
      if (stored.size > TREE_ABOVE_BYTES) await this.#shelf.placeTree(stored.digest, tree.leaves).catch(() => undefined)
      return tree
    } finally {
      await closeFile(descriptor)
    }
  }
}

export function corrupt(stored: Stored): RegistryError {
  return new RegistryError('corrupt', `The bytes held of ${stored.digest} do not match their digest`)
}

export function missing(stored: Stored): RegistryError {
  return new RegistryError('unavailable', `The bytes of ${stored.digest} are not held here`, { code: 'blob_missing' })
}

/** Leaf hashes of the bytes in memory, which begin at a leaf's border. */
export function leavesOf(bytes: Uint8Array): Uint8Array {
  const leaves = new Uint8Array(leafCount(bytes.length) * HASH_BYTES)
  for (let at = 0; at < bytes.length; at += LEAF_BYTES)
    leaves.set(leafHash(bytes.subarray(at, at + LEAF_BYTES)), (at / LEAF_BYTES) * HASH_BYTES)
  return leaves
}

/** Of a file that is too short: hashes that cannot be right. */
async function hashLeaves(descriptor: number, size: number): Promise<Uint8Array> {
  const leaves = new Uint8Array(leafCount(size) * HASH_BYTES)
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, READ_BYTES))
  for (let at = 0; at < size; at += buffer.length) {
    const chunk = buffer.subarray(0, Math.min(buffer.length, size - at))
    const filled = await readFully(descriptor, chunk, at)
    leaves.set(leavesOf(chunk.subarray(0, filled)), (at / LEAF_BYTES) * HASH_BYTES)
    if (filled < chunk.length) break
  }
  return leaves
}
