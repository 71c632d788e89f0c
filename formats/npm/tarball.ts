/**
 * What an npm package's tarball says about itself, found out while its bytes pass by on their way into the store. An archive
 * that is broken, dangerous or ambiguous ends the transfer, so that nothing of it is kept.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { TarFile } from '../archive/tar.js'
import { watchTgz } from '../archive/tgz.js'
import { isObject, type JsonObject, parseJson } from '../text/json.js'

export interface Inspected {
  /** The package.json of the tarball. */
  manifest: JsonObject
  readme: { filename: string; text: string } | undefined
  hasShrinkwrap: boolean
  hasBindingGyp: boolean
  fileCount: number
  unpackedSize: number
}

const MANIFEST_BYTES = 4 * 1024 * 1024
const README_BYTES = 64 * 1024
const README = /^readme(?:\.[a-z]{1,10})?$/i

export class Inspection {
  #manifest: Buffer | undefined
  #readme: { filename: string; bytes: Buffer } | undefined
  #seenManifests = 0
  #hasShrinkwrap = false
  #hasBindingGyp = false
  #fileCount = 0
  #unpackedSize = 0
  #result: Inspected | undefined

  /** The same bytes again; it ends only when the tarball is whole and in order. Throws `invalid`. */
  async *watch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    yield* watchTgz(body, {
      file: (file) => this.#file(file),
      content: (file, bytes) => this.#content(file, bytes),
      link: (path) => this.#link(path),
    })
    this.#result = this.#conclude()
  }

  /** Only after `watch` came to its end. */
  get result(): Inspected {
    if (!this.#result) throw new Error('the tarball was not read to its end')
    return this.#result
  }

  #conclude(): Inspected {
    if (!this.#manifest) throw invalid('The tarball has no package.json in its top folder')
    // npm's own reader accepts a byte order mark.
    const bytes = this.#manifest.subarray(this.#manifest.indexOf('\ufeff') === 0 ? 3 : 0)
    const manifest = parseJson(bytes, "The tarball's package.json")
    if (!isObject(manifest)) throw invalid("The tarball's package.json is not an object")
    return {
      manifest,
      readme: this.#readme && { filename: this.#readme.filename, text: this.#readme.bytes.toString('utf8') },
      hasShrinkwrap: this.#hasShrinkwrap,
      hasBindingGyp: this.#hasBindingGyp,
      fileCount: this.#fileCount,
      unpackedSize: this.#unpackedSize,
    }
  }

  /** Clients drop the first folder of each path, whatever it is called. */
  #file(file: TarFile): number | undefined {
    this.#fileCount++
    this.#unpackedSize += file.size
    const name = topName(file.path)
    if (isManifestName(name)) {
      this.#countManifest()
      if (name !== 'package.json') return undefined
      if (file.size > MANIFEST_BYTES) throw invalid("The tarball's package.json is too large")
      return file.size
    }
    if (name === 'npm-shrinkwrap.json') this.#hasShrinkwrap = true
    if (name === 'binding.gyp') this.#hasBindingGyp = true
    return README.test(name) && !this.#readme ? README_BYTES : undefined
  }

  #content(file: TarFile, bytes: Buffer): void {
    const name = topName(file.path)
    if (name === 'package.json') this.#manifest = bytes
    else this.#readme = { filename: name, bytes }
  }

  /** Clients leave links out; one in the place of package.json would hide it from some and not from others. */
  #link(path: string): void {
    if (isManifestName(topName(path))) this.#countManifest()
  }

  /** Two of them, or two that differ only by case, are one file or another depending on who unpacks. */
  #countManifest(): void {
    if (++this.#seenManifests > 1) throw invalid('The tarball has more than one package.json')
  }
}

function topName(path: string): string {
  const slash = path.indexOf('/')
  return slash < 0 ? '' : path.slice(slash + 1)
}

function isManifestName(name: string): boolean {
  return (
    name
      .toLowerCase()
      .split('/')
      .filter((step) => step !== '' && step !== '.')
      .join('/') === 'package.json'
  )
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_tarball' })
}
