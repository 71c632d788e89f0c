/** Bytes made of a pattern, in chunks whose buffer is used again, as files read them. */
import type { Bytes } from '../../../protocol/ports.js'

export interface Pattern extends Bytes {
  /** Chunks asked for. */
  readonly asked: number
  /** Iterations that were ended, by their end or by the reader. */
  readonly ended: number
}

export function pattern(size: number, chunk = 64 * 1024): Pattern {
  let asked = 0
  let ended = 0
  return {
    size,
    source: 'cache',
    get asked() {
      return asked
    },
    get ended() {
      return ended
    },
    async *read(range = { start: 0, end: size }) {
      const buffer = Buffer.alloc(chunk)
      try {
        for (let at = range.start; at < range.end; at += chunk) {
          asked++
          const part = buffer.subarray(0, Math.min(chunk, range.end - at))
          fill(part, at)
          yield part
        }
      } finally {
        ended++
      }
    },
  }
}

export function patternBytes(start: number, end: number): Buffer {
  const bytes = Buffer.alloc(end - start)
  fill(bytes, start)
  return bytes
}

/** Repeats after 251 bytes, a prime: a chunk that is sent twice, left out or overwritten shows. */
function fill(bytes: Buffer, offset: number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = (offset + i) % 251
}
