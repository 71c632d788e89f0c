/** Finds the PKG-INFO of a source archive (.tar.gz) while its bytes pass by; a broken or dangerous archive ends the transfer. */
import { RegistryError } from '../../protocol/errors.js'
import { Inflater } from '../archive/gunzip.js'
import { TarReader } from '../archive/tar.js'
import { METADATA_LIMIT } from './metadata.js'

const INFLATE_LIMITS = { bytes: 16 * 1024 ** 3, ratio: 200, ratioFrom: 64 * 1024 * 1024 }
const TAR_LIMITS = { entries: 500_000, name: 4096 }

export class SourceInspection {
  readonly #inflater: Inflater
  readonly #tar: TarReader
  readonly #found: Buffer[] = []

  constructor() {
    this.#tar = new TarReader(
      {
        file: ({ path, size }) => (isPackageInfo(path) ? wanted(size) : undefined),
        content: (_, bytes) => this.#found.push(bytes),
      },
      TAR_LIMITS,
    )
    this.#inflater = new Inflater((bytes) => this.#tar.write(bytes), INFLATE_LIMITS)
  }

  /** The same bytes again; it ends only when the archive is whole and in order. Throws `invalid`. */
  async *watch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of body) {
        await this.#inflater.write(chunk)
        yield chunk
      }
      await this.#inflater.end()
      this.#tar.end()
    } finally {
      this.#inflater.close()
    }
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
