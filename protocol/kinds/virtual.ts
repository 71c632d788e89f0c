/**
 * Several repositories seen as one. Local members that know a name are merged, the first winning per version and path; only
 * if none does, the first remote member that knows it answers, so a public package can never shadow a private one.
 * It is made per request from the members that the asker may read.
 */
import type { Bytes, Page } from '../ports.js'
import type { FileRecord, Held, Package, RepositoryRecord, Version } from '../records.js'
import type { Repository } from '../repository.js'

export class Virtual implements Repository {
  readonly key: string
  readonly record: RepositoryRecord
  readonly target = undefined
  readonly #members: readonly Repository[]
  readonly #local: readonly Repository[]
  readonly #remote: readonly Repository[]

  /** `members`: not virtual themselves, in order of priority. */
  constructor(record: RepositoryRecord, members: readonly Repository[]) {
    this.key = record.key
    this.record = record
    this.#members = members
    this.#local = members.filter((member) => member.record.type === 'local')
    this.#remote = members.filter((member) => member.record.type !== 'local')
  }

  stamp(name: string): string | Promise<string> {
    const stamps = this.#members.map((member) => member.stamp(name))
    if (stamps.every((stamp) => typeof stamp === 'string')) return this.#join(stamps)
    return Promise.all(stamps).then((known) => this.#join(known))
  }

  #join(stamps: string[]): string {
    return this.#members.map((member, i) => `${member.record.scope}:${stamps[i]}`).join(',')
  }

  async package(name: string): Promise<Package | undefined> {
    const found = await this.#each(name, (member) => member.package(name))
    const [first] = found
    if (!first) return undefined
    return {
      ...first,
      last: Math.max(...found.map((one) => one.last)),
      versions: found.reduce((sum, one) => sum + one.versions, 0),
      created: found.map((one) => one.created).sort()[0] ?? first.created,
      modified:
        found
          .map((one) => one.modified)
          .sort()
          .at(-1) ?? first.modified,
      meta: found.find((one) => one.meta !== '')?.meta ?? '',
    }
  }

  packages(page: Page): Promise<Package[]> {
    return this.#merge(
      page,
      (member) => member.packages(page),
      (entry) => entry.name,
    )
  }

  async *versions(name: string): AsyncIterable<Version> {
    const seen = new Set<string>()
    for (const member of await this.#knowing(name)) {
      for await (const version of member.versions(name)) {
        if (seen.has(version.version)) continue
        seen.add(version.version)
        yield version
      }
    }
  }

  async version(name: string, version: string): Promise<Version | undefined> {
    for (const member of await this.#knowing(name)) {
      const found = await member.version(name, version)
      if (found) return found
    }
    return undefined
  }

  async tags(name: string): Promise<Record<string, string>> {
    const found = await Promise.all((await this.#knowing(name)).map((member) => member.tags(name)))
    return Object.assign({}, ...found.reverse()) as Record<string, string>
  }

  async tag(name: string, tag: string): Promise<string | undefined> {
    for (const member of await this.#knowing(name)) {
      const found = await member.tag(name, tag)
      if (found !== undefined) return found
    }
    return undefined
  }

  async file(path: string): Promise<FileRecord | undefined> {
    return (await this.#owner(path))?.file
  }

  files(page: Page): Promise<FileRecord[]> {
    return this.#merge(
      page,
      (member) => member.files(page),
      (entry) => entry.path,
    )
  }

  async open(file: Held): Promise<Bytes> {
    const owner = (await this.#owner(file.path))?.member ?? this.#members[0]
    if (!owner) throw new Error(`no member of ${this.key} holds ${file.path}`)
    return owner.open(file)
  }

  async #owner(path: string): Promise<{ member: Repository; file: FileRecord } | undefined> {
    for (const member of this.#local) {
      const file = await member.file(path)
      if (file) return { member, file }
    }
    for (const member of this.#remote) {
      const file = await member.file(path)
      if (file) return (await this.#locallyKnown(file.package)) ? undefined : { member, file }
    }
    return undefined
  }

  /** The members that answer for a name. A name whose versions were all removed is still known: it stays reserved. */
  async #knowing(name: string): Promise<Repository[]> {
    const local = await known(this.#local, name)
    return local.length > 0 ? local : (await known(this.#remote, name)).slice(0, 1)
  }

  async #locallyKnown(name: string): Promise<boolean> {
    return (await known(this.#local, name)).length > 0
  }

  async #each<T>(name: string, read: (member: Repository) => Promise<T | undefined>): Promise<T[]> {
    const found = await Promise.all((await this.#knowing(name)).map(read))
    return found.filter((one) => one !== undefined)
  }

  async #merge<T>(page: Page, read: (member: Repository) => Promise<T[]>, name: (entry: T) => string): Promise<T[]> {
    const merged = new Map<string, T>()
    for (const entries of await Promise.all(this.#members.map(read)))
      for (const entry of entries) if (!merged.has(name(entry))) merged.set(name(entry), entry)
    return [...merged.entries()]
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .slice(0, page.limit)
      .map(([, entry]) => entry)
  }
}

async function known(members: readonly Repository[], name: string): Promise<Repository[]> {
  const found = await Promise.all(members.map((member) => member.package(name)))
  return members.filter((_, i) => found[i] !== undefined)
}
