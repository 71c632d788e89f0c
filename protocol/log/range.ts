/**
 * Entries that follow one another, and that are proved to be a part of a log whose root is known: whoever catches up or mends takes
 * them from anybody, in any order. A range is a piece of the tree (merkle.ts, `rootFromPiece`). Positions are counted from 0.
 */
import { RegistryError } from '../errors.js'
import { hashAt, pieceLevel, rootFromPiece } from '../merkle.js'
import { type LogItem, leafOf } from './entry.js'

/** A log of a length, as somebody signed it or as it was verified before. */
export interface KnownLog {
  length: number
  /** 32 bytes. */
  root: Uint8Array
}

export class ProvedRange {
  readonly log: KnownLog
  readonly start: number
  readonly items: readonly LogItem[]
  /** Of each item. */
  readonly leaves: readonly Uint8Array[]
  /** Roots of the full subtrees before it, smallest first: the edge of a log of `start` entries. */
  readonly before: readonly Uint8Array[]

  private constructor(parts: Pick<ProvedRange, 'log' | 'start' | 'items' | 'leaves' | 'before'>) {
    this.log = parts.log
    this.start = parts.start
    this.items = parts.items
    this.leaves = parts.leaves
    this.before = parts.before
  }

  /** One past its last entry. */
  get end(): number {
    return this.start + this.items.length
  }

  /** Throws `corrupt` for what is no part of the log. */
  static prove(log: KnownLog, start: number, items: readonly LogItem[], proof: Uint8Array): ProvedRange {
    const leaves = items.map((item, at) => {
      if (item.number !== start + at + 1) throw notPart()
      return leafOf(item)
    })
    if (Buffer.compare(rootOf(leaves, start, log, proof), log.root) !== 0) throw notPart()
    return new ProvedRange({ log, start, items, leaves, before: leftOf(start, items.length, log.length, proof) })
  }
}

function rootOf(leaves: readonly Uint8Array[], start: number, { length }: KnownLog, proof: Uint8Array): Uint8Array {
  try {
    return rootFromPiece(Buffer.concat(leaves), start, length, proof)
  } catch (cause) {
    throw notPart(cause)
  }
}

/** Those hashes of a proof that come from the left. */
function leftOf(start: number, count: number, length: number, proof: Uint8Array): Uint8Array[] {
  const left: Uint8Array[] = []
  const level = pieceLevel(start, count, length)
  let index = start / 2 ** level
  let used = 0
  for (let width = Math.ceil(length / 2 ** level); width > 1; width = Math.ceil(width / 2)) {
    if (index % 2 === 1) left.push(hashAt(proof, used++))
    else if (index + 1 < width) used++
    index = Math.floor(index / 2)
  }
  return left
}

function notPart(cause?: unknown): RegistryError {
  return new RegistryError('corrupt', 'These entries are no part of the log that is signed', {
    code: 'wrong_range',
    cause,
  })
}
