/**
 * What a .crate holds, found out while its bytes pass by on their way into the store. Everything in it lies in the folder
 * {name}-{version}, nothing is a link (cargo packs none, and they have been used against whoever unpacks), and its Cargo.toml
 * agrees with what is published. Anything else ends the transfer, so that nothing of it is kept.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { TarFile } from '../archive/tar.js'
import { watchTgz } from '../archive/tgz.js'
import { type Manifest, parseManifest } from './manifest.js'

const MANIFEST_BYTES = 4 * 1024 * 1024

export class CrateReader {
  readonly #name: string
  readonly #version: string
  readonly #folder: string
  #seenManifests = 0
  #bytes: Buffer | undefined
  #manifest: Manifest | undefined

  constructor(name: string, version: string) {
    this.#name = name
    this.#version = version
    this.#folder = `${name}-${version}/`
  }

  /** The same bytes again; it ends only when the crate is whole and in order. Throws `invalid`. */
  async *watch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    yield* watchTgz(body, {
      file: (file) => this.#file(file),
      content: (_, bytes) => {
        this.#bytes = bytes
      },
      link: (path) => {
        throw invalid(`holds a link, ${JSON.stringify(path.slice(0, 200))}`)
      },
    })
    this.#manifest = this.#conclude()
  }

  /** Only after `watch` came to its end. */
  get manifest(): Manifest {
    if (!this.#manifest) throw new Error('the crate was not read to its end')
    return this.#manifest
  }

  #file({ path, size }: TarFile): number | undefined {
    if (!path.startsWith(this.#folder))
      throw invalid(`holds a file outside of ${this.#folder}: ${JSON.stringify(path.slice(0, 200))}`)
    const name = plain(path.slice(this.#folder.length))
    if (name.toLowerCase() !== 'cargo.toml') return undefined
    // Two of them, or two that differ only by case, are one file or another depending on who unpacks.
    if (++this.#seenManifests > 1) throw invalid('has more than one Cargo.toml')
    if (path !== `${this.#folder}Cargo.toml`) return undefined
    if (size > MANIFEST_BYTES) throw invalid('has a Cargo.toml that is too large')
    return size
  }

  #conclude(): Manifest {
    if (!this.#bytes) throw invalid(`has no ${this.#folder}Cargo.toml`)
    const manifest = parseManifest(this.#bytes)
    if (manifest.name !== this.#name) throw differs('name', manifest.name, this.#name)
    if (manifest.version !== this.#version) throw differs('version', manifest.version, this.#version)
    return manifest
  }
}

function plain(path: string): string {
  return path
    .split('/')
    .filter((step) => step !== '' && step !== '.')
    .join('/')
}

function differs(field: string, inside: string, published: string): RegistryError {
  return new RegistryError(
    'invalid',
    `The crate contradicts itself: ${field} is ${JSON.stringify(inside.slice(0, 200))} in its Cargo.toml and ${JSON.stringify(published)} in what was published with it`,
    { code: 'manifest_mismatch' },
  )
}

function invalid(how: string): RegistryError {
  return new RegistryError('invalid', `The crate ${how}`, { code: 'invalid_crate' })
}
