/**
 * In which order those that want a blob may take a piece from a node that has it all: by rendezvous hashing over the names that
 * this node knows. So each piece leaves the home once, and its owner, the first, passes it on.
 */
const UNKNOWN = 0xffff

export class Owners {
  readonly #self: number
  readonly #others = new Map<string, number>()
  /** By piece, until who is known changes. */
  readonly #turns: Uint16Array

  constructor(self: string, pieces: number) {
    this.#self = seedOf(self)
    this.#turns = new Uint16Array(pieces).fill(UNKNOWN)
  }

  /** Others that want the blob, as far as is known. */
  get others(): number {
    return this.#others.size
  }

  add(peer: string): void {
    if (this.#others.has(peer)) return
    this.#others.set(peer, seedOf(peer))
    this.#turns.fill(UNKNOWN)
  }

  remove(peer: string): void {
    if (this.#others.delete(peer)) this.#turns.fill(UNKNOWN)
  }

  /** How many come before this node; 0: it owns the piece. */
  turn(piece: number): number {
    const known = this.#turns[piece] ?? 0
    if (known !== UNKNOWN) return known
    const own = rank(this.#self, piece)
    let turn = 0
    for (const seed of this.#others.values()) if (rank(seed, piece) > own) turn++
    this.#turns[piece] = turn
    return turn
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
