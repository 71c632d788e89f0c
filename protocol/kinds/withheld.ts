/**
 * A member of a virtual repository of which nothing may be given out for now. It lists nothing, and what it knows is refused, with
 * the reason: neither "not found" nor another member's answer would be true. For what it does not know others answer.
 */
import type { RegistryError } from '../errors.js'
import type { FileRecord, Package, RepositoryRecord, Version } from '../records.js'
import type { Repository } from '../repository.js'
import { UNKNOWN } from './recorded.js'

export class Withheld implements Repository {
  readonly key: string
  readonly record: RepositoryRecord
  readonly target = undefined
  readonly #inner: Repository
  readonly #refusal: RegistryError

  constructor(inner: Repository, refusal: RegistryError) {
    this.key = inner.key
    this.record = inner.record
    this.#inner = inner
    this.#refusal = refusal
  }

  async stamp(name: string): Promise<string> {
    await this.package(name)
    return UNKNOWN
  }

  async package(name: string): Promise<Package | undefined> {
    if (await this.#inner.package(name)) throw this.#refusal
    return undefined
  }

  async packages(): Promise<Package[]> {
    return []
  }

  async *versions(name: string): AsyncIterable<Version> {
    await this.package(name)
    yield* []
  }

  async version(name: string): Promise<Version | undefined> {
    await this.package(name)
    return undefined
  }

  async tags(name: string): Promise<Record<string, string>> {
    await this.package(name)
    return {}
  }

  async tag(name: string): Promise<string | undefined> {
    await this.package(name)
    return undefined
  }

  async file(path: string): Promise<FileRecord | undefined> {
    if (await this.#inner.file(path)) throw this.#refusal
    return undefined
  }

  packageOf(path: string): string | undefined {
    return this.#inner.packageOf?.(path)
  }

  async files(): Promise<FileRecord[]> {
    return []
  }

  open(): Promise<never> {
    return Promise.reject(this.#refusal)
  }

  held(): Repository {
    return new Withheld(this.#inner.held(), this.#refusal)
  }
}
