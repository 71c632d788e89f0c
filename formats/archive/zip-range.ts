/** Bounded reads of an archive that is stored already, and the one error for an archive that cannot be read. */
import { RegistryError } from '../../protocol/errors.js'
import type { Bytes } from '../../protocol/ports.js'

export const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `start` inclusive, `end` exclusive. Throws `invalid` where the archive has no such bytes. */
export async function readRange(bytes: Bytes, start: number, end: number, signal?: AbortSignal): Promise<Buffer> {
  if (start < 0 || end < start || end > bytes.size) throw brokenZip('names bytes that it does not have')
  const range = Buffer.alloc(end - start)
  let at = 0
  if (range.length === 0) return range
  for await (const chunk of bytes.read({ start, end }, signal)) {
    range.set(chunk, at)
    at += chunk.length
  }
  if (at !== range.length) throw new Error(`${at} bytes were read where ${range.length} were asked for`)
  return range
}

export function brokenZip(how: string, cause?: unknown): RegistryError {
  return new RegistryError('invalid', `The archive ${how}`, { code: 'invalid_archive', cause })
}
