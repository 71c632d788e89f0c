/** The primary as a source of bytes. What it sends is checked like everything else. */
import type { Stored } from '../../protocol/records.js'

export interface PrimaryBytes {
  /** Known without asking. */
  readonly reachable: boolean
  /** Bytes from `start` up to and without `end`. */
  read(stored: Stored, scope: string, start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /** Leaf hashes of the whole blob, 32 bytes each. */
  leaves(stored: Stored, scope: string, signal?: AbortSignal): Promise<Uint8Array>
}
