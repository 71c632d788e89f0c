/** How a blob is cut into pieces. All nodes cut alike: 256 KiB up to 64 MiB, 512 KiB up to 512 MiB, 1 MiB beyond. */
import { LEAF_BYTES, leafCount } from '../../protocol/merkle.js'

export interface Geometry {
  size: number
  leaves: number
  pieceLeaves: number
  pieceBytes: number
  pieces: number
}

/** Bytes of a piece: `start` inclusive, `end` exclusive; its leaves from `first` on. */
export interface Span {
  start: number
  end: number
  first: number
  count: number
}

const MIB = 1_048_576

export function geometryOf(size: number): Geometry {
  const pieceBytes = size <= 64 * MIB ? MIB / 4 : size <= 512 * MIB ? MIB / 2 : MIB
  return {
    size,
    leaves: leafCount(size),
    pieceLeaves: pieceBytes / LEAF_BYTES,
    pieceBytes,
    pieces: Math.ceil(size / pieceBytes),
  }
}

/** It fits into one piece: it is asked for whole, in one round trip, and verified by its own bytes. */
export function isSmall(size: number): boolean {
  return geometryOf(size).pieces <= 1
}

export function spanOf(geometry: Geometry, index: number): Span {
  const start = index * geometry.pieceBytes
  const end = Math.min(start + geometry.pieceBytes, geometry.size)
  return { start, end, first: index * geometry.pieceLeaves, count: leafCount(end - start) }
}
