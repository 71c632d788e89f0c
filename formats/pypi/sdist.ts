/** Finds the PKG-INFO of a source archive (.tar.gz) while its bytes pass by; a broken or dangerous archive ends the transfer. */
import { RegistryError } from '../../protocol/errors.js'
import type { TarFile } from '../archive/tar.js'
import { type TgzLimits, watchTgz } from '../archive/tgz.js'
import { METADATA_LIMIT } from './metadata.js'

const LIMITS: TgzLimits = {
  inflate: { bytes: 16 * 1024 ** 3, ratio: 200, ratioFrom: 64 * 1024 * 1024 },
  tar: { entries: 500_000, name: 4096 },
}

export class SourceInspection {
  readonly #found: Buffer[] = []

  /** The same bytes again; it ends only when the archive is whole and in order. Throws `invalid`. */
  watch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const visitor = {
      file: ({ path, size }: TarFile) => (isPackageInfo(path) ? wanted(size) : undefined),
      content: (_: TarFile, bytes: Buffer) => void this.#found.push(bytes),
    }
    return watchTgz(body, visitor, LIMITS)
  }

  /** After `watch` came to its end. Throws `invalid`. */
  packageInfo(): Buffer {
    const [found, ...others] = this.#found
    if (!found || others.length > 0)
      throw invalid(`The source archive has ${found ? 'more than one' : 'no'} PKG-INFO in its top folder`)
    return found
  }
}

/** {name}-{version}/PKG-INFO */
export function isPackageInfo(path: string): boolean {
  return /^(?:\.\/)?[^/]+\/PKG-INFO$/.test(path)
}

function wanted(size: number): number {
  if (size > METADATA_LIMIT) throw invalid('The PKG-INFO of the source archive is too large')
  return size
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_archive' })
}
