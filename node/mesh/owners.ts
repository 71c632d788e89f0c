/**
 * Who takes a piece first from a node that has it all: of everybody who wants the blob, one, by rendezvous hashing over the names
 * that this node knows. So each piece leaves the home once, and its owner passes it on.
 */
const UNKNOWN = 0
const MINE = 1
const OTHERS = 2

export class Owners {
  readonly #self: number
  readonly #others = new Map<string, number>()
  /** By piece, until who is known changes. */
  readonly #owned: Uint8Array

  constructor(self: string, pieces: number) {
    this.#self = seedOf(self)
    this.#owned = new Uint8Array(pieces)
  }

  /** Others that want the blob, as far as is known. */
  get others(): number {
    return this.#others.size
  }

  add(peer: string): void {
    if (this.#others.has(peer)) return
    this.#others.set(peer, seedOf(peer))
    this.#owned.fill(UNKNOWN)
  }

  remove(peer: string): void {
    if (this.#others.delete(peer)) this.#owned.fill(UNKNOWN)
  }

  mine(piece: number): boolean {
    if (this.#owned[piece] === UNKNOWN) this.#owned[piece] = this.#first(piece) ? MINE : OTHERS
    return this.#owned[piece] === MINE
  }

  #first(piece: number): boolean {
    const own = rank(this.#self, piece)
    for (const seed of this.#others.values()) if (rank(seed, piece) > own) return false
    return true
  }
}

/** FNV-1a, 32 bits. */
function seedOf(name: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193)
  return hash
}

/** The finalizer of MurmurHash3: every bit of both counts. */
function rank(seed: number, piece: number): number {
  let hash = seed ^ Math.imul(piece + 1, 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
