/**
 * Names of files: what every client's disk and every tool can hold, so that a file that was stored can also be fetched,
 * mirrored and unpacked. Names that differ only by case are different files; spellings of one name in Unicode are not.
 */
import { RegistryError } from '../../protocol/errors.js'

/** Bytes. Longer keys do not fit into a database index. */
const MAX_PATH = 1024
/** Where questions about uploads are asked (upload.ts). */
const RESERVED = '-'

/** `path` without a slash at its beginning. Throws `invalid` unless a file may be stored under it. */
export function checkPath(path: string): void {
  if (path === '' || path.endsWith('/')) throw invalid('A file needs a name: the path ends with a slash')
  if (Buffer.byteLength(path) > MAX_PATH) throw invalid(`The path is longer than ${MAX_PATH} bytes`)
  if (path.normalize('NFC') !== path)
    throw invalid('The path is not in Unicode normalisation form C; some systems write "é" as two characters')
  if (INVISIBLE.test(path)) throw invalid('The path holds characters that cannot be seen')
  const segments = path.split('/')
  for (const segment of segments) checkSegment(segment)
  if (/^[A-Za-z]:/.test(path)) throw invalid('The path begins with a drive letter')
  if (segments[0] === RESERVED) throw invalid('Paths below "-/" are taken by the registry itself')
}

// Control, format (direction marks, zero-width), surrogate, private and unassigned characters, line and paragraph separators.
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\\]/u
/** Windows opens devices for these, with any extension. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i

function checkSegment(segment: string): void {
  if (segment === '' || segment === '.' || segment === '..') throw invalid('The path has an empty or relative segment')
  if (/[. ]$/.test(segment) || segment.startsWith(' '))
    throw invalid(`${JSON.stringify(segment)} begins or ends with a space, or ends with a dot`)
  if (DEVICE.test(segment)) throw invalid(`${JSON.stringify(segment)} is the name of a device on some systems`)
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_path' })
}
