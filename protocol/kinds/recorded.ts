/** Reads of one scope: what hosted and remote repositories have in common. */
import { RegistryError } from '../errors.js'
import type { Grammar } from '../format.js'
import type { Blobs, Bytes, Metadata, Page } from '../ports.js'
import type { FileRecord, Held, Package, RepositoryRecord, Version } from '../records.js'
import type { Single, Writable } from '../repository.js'

/** The stamp of a name that nothing is recorded under. */
export const UNKNOWN = '0'

/** Where bytes are read. */
export type Readable = Pick<Blobs, 'open' | 'has'>

export class Recorded implements Single {
  readonly key: string
  readonly record: RepositoryRecord
  protected readonly metadata: Metadata
  protected readonly blobs: Readable
  readonly #nameOf: (name: string) => string

  /** `nameOf`: which name records have for a spelling of it. */
  constructor(record: RepositoryRecord, metadata: Metadata, blobs: Readable, nameOf: Grammar['name'] = (name) => name) {
    this.key = record.key
    this.record = record
    this.metadata = metadata
    this.blobs = blobs
    this.#nameOf = nameOf
  }

  get target(): Writable | undefined {
    return undefined
  }

  stamp(name: string): string | Promise<string> {
    const last = this.metadata.stamp(this.record.scope, this.#nameOf(name))
    return typeof last === 'number' ? this.#stamped(last) : last.then((number) => this.#stamped(number))
  }

  /** An epoch may give numbers again. */
  #stamped(last: number): string {
    const { epoch } = this.metadata.head
    return epoch === 1 ? String(last) : `${epoch}.${last}`
  }

  package(name: string): Promise<Package | undefined> {
    return this.metadata.package(this.record.scope, this.#nameOf(name))
  }

  packages(page: Page): Promise<Package[]> {
    return this.metadata.packages(this.record.scope, page)
  }

  versions(name: string): AsyncIterable<Version> {
    return this.metadata.versions(this.record.scope, this.#nameOf(name))
  }

  version(name: string, version: string): Promise<Version | undefined> {
    return this.metadata.version(this.record.scope, this.#nameOf(name), version)
  }

  tags(name: string): Promise<Record<string, string>> {
    return this.metadata.tags(this.record.scope, this.#nameOf(name))
  }

  tag(name: string, tag: string): Promise<string | undefined> {
    return this.metadata.tag(this.record.scope, this.#nameOf(name), tag)
  }

  file(path: string): Promise<FileRecord | undefined> {
    return this.metadata.file(this.record.scope, path)
  }

  owner(path: string): Promise<Pick<Version, 'package' | 'version'> | undefined> {
    return this.metadata.file(this.record.scope, path)
  }

  recorded(name: string, version: string): Promise<Version | undefined> {
    return this.metadata.version(this.record.scope, this.#nameOf(name), version)
  }

  files(page: Page): Promise<FileRecord[]> {
    return this.metadata.files(this.record.scope, page)
  }

  open(file: Held): Promise<Bytes> {
    return this.blobs.open(file, this.record.scope)
  }

  held(): Single {
    return new Recorded(this.record, this.metadata, onlyHere(this.blobs), this.#nameOf)
  }
}

/** Bytes that need not be asked of anybody. */
export function onlyHere(blobs: Readable): Readable {
  return {
    has: (digest) => blobs.has(digest),
    open: async (file, scope) => {
      if (file.size === 0 || (await blobs.has(file.digest))) return blobs.open(file, scope)
      throw new RegistryError('unavailable', `The bytes of ${'path' in file ? file.path : file.digest} are not here`)
    },
  }
}
