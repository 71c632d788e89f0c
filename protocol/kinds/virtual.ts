/**
 * Several repositories seen as one. Local members that know a name are merged, the first winning per version and path; only
 * if none does, the first remote member that knows it answers, so a public package can never shadow a private one. Where an
 * administrator said so for a name, all members that know it are merged, in their order.
 * It is made per request from the members that the asker may read.
 */
import { RegistryError } from '../errors.js'
import type { Bytes, Page } from '../ports.js'
import type { FileRecord, Held, Package, RepositoryRecord, Version } from '../records.js'
import type { Freshness, Repository } from '../repository.js'
import type { Arrival } from './arrival.js'
import { UNKNOWN } from './recorded.js'

type Find<T> = (member: Repository) => Promise<T | undefined>

interface Owner<T> {
  member: Repository
  file: T
}

export interface VirtualParts {
  /** Not virtual themselves, in order of priority. */
  members: readonly Repository[]
  /** Local members that the asker may not read. Nobody is told what is in them, and the names that they know are not looked up elsewhere. */
  hidden: readonly Repository[]
  merges: (name: string) => boolean
}

export class Virtual implements Repository {
  readonly key: string
  readonly record: RepositoryRecord
  readonly target = undefined
  readonly #parts: VirtualParts
  readonly #local: readonly Repository[]
  readonly #remote: readonly Repository[]
  /** The members that gave out files, which are opened there. */
  readonly #found = new WeakMap<object, Repository>()

  constructor(record: RepositoryRecord, parts: VirtualParts) {
    this.key = record.key
    this.record = record
    this.#parts = parts
    const { members } = parts
    this.#local = members.filter((member) => member.record.type === 'local')
    this.#remote = members.filter((member) => member.record.type !== 'local')
  }

  stamp(name: string): string | Promise<string> {
    if (this.#parts.merges(name)) return this.#stampOfAll(name)
    const stamps = this.#local.map((member) => member.stamp(name))
    // Only remote members may have to be waited for, and what is known here must not be asked of them.
    if (this.#remote.length === 0 && stamps.every((stamp) => typeof stamp === 'string'))
      return join(this.#local, stamps)
    return this.#stampOf(name, stamps)
  }

  async #stampOfAll(name: string): Promise<string> {
    const members = await this.#asked(name)
    return join(members, await Promise.all(members.map((member) => member.stamp(name))))
  }

  async #stampOf(name: string, local: (string | Promise<string>)[]): Promise<string> {
    const stamps = await Promise.all(local)
    const own = join(this.#local, stamps)
    if (stamps.some((stamp) => stamp !== UNKNOWN) || (await this.#isHidden(name))) return own
    for (const member of this.#remote) {
      const stamp = await member.stamp(name)
      if (stamp !== UNKNOWN) return `${own},${join([member], [stamp])}`
    }
    return own
  }

  freshness(name: string): Freshness | undefined {
    return this.#remote.map((member) => member.freshness?.(name)).find((one) => one?.stale)
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
    let refusal: RegistryError | undefined
    for (const member of await this.#knowing(name)) {
      try {
        for await (const version of member.versions(name)) {
          if (seen.has(version.version)) continue
          seen.add(version.version)
          yield version
        }
      } catch (error) {
        refusal ??= refusalIn(error)
      }
    }
    if (refusal && seen.size === 0) throw refusal
  }

  async version(name: string, version: string): Promise<Version | undefined> {
    return (await first(await this.#knowing(name), (member) => member.version(name, version)))?.found
  }

  async tags(name: string): Promise<Record<string, string>> {
    const found = await Promise.all((await this.#knowing(name)).map((member) => member.tags(name)))
    return Object.assign({}, ...found.reverse()) as Record<string, string>
  }

  async tag(name: string, tag: string): Promise<string | undefined> {
    return (await first(await this.#knowing(name), (member) => member.tag(name, tag)))?.found
  }

  async file(path: string): Promise<FileRecord | undefined> {
    return (await this.#owner(path, (member) => member.file(path)))?.file
  }

  async arrive(path: string): Promise<FileRecord | Arrival | undefined> {
    return (await this.#owner(path, (member) => (member.arrive ? member.arrive(path) : member.file(path))))?.file
  }

  files(page: Page): Promise<FileRecord[]> {
    return this.#merge(
      page,
      (member) => member.files(page),
      (entry) => entry.path,
    )
  }

  async open(file: Held): Promise<Bytes> {
    const found = this.#found.get(file) ?? (await this.#owner(file.path, (member) => member.file(file.path)))?.member
    const owner = found ?? this.#parts.members[0]
    if (!owner) throw new Error(`no member of ${this.key} holds ${file.path}`)
    return owner.open(file)
  }

  held(): Repository {
    return new Virtual(this.record, { ...this.#parts, members: this.#parts.members.map((member) => member.held()) })
  }

  async #owner<T extends object>(path: string, find: Find<T>): Promise<Owner<T> | undefined> {
    const owner = await this.#search(path, find)
    if (owner) this.#found.set(owner.file, owner.member)
    return owner
  }

  async #search<T>(path: string, find: Find<T>): Promise<Owner<T> | undefined> {
    const own = await first(this.#local, find)
    if (own) return { member: own.member, file: own.found }
    for (const member of this.#remote) {
      const name = member.packageOf ? member.packageOf(path) : path
      if (name === undefined) continue
      if ((await this.#isOurs(name)) || (await this.#isHidden(name))) return undefined
      const file = await find(member)
      if (file) return (await this.#isOurs(name)) ? undefined : { member, file }
      // The first that knows the package answers for all of it.
      if (!this.#parts.merges(name) && (await member.package(name))) return undefined
    }
    return undefined
  }

  /** The members that answer for a name. A name whose versions were all removed is still known: it stays reserved. */
  async #knowing(name: string): Promise<Repository[]> {
    if (this.#parts.merges(name)) return known(await this.#asked(name), name)
    const local = await known(this.#local, name)
    if (local.length > 0 || (await this.#isHidden(name))) return local
    for (const member of this.#remote) {
      if (!(await member.package(name))) continue
      // Published here while the upstream was asked.
      const published = await known(this.#local, name)
      return published.length > 0 ? published : [member]
    }
    return []
  }

  /** Of a name that is merged. */
  async #asked(name: string): Promise<readonly Repository[]> {
    return (await this.#isHidden(name)) ? this.#local : this.#parts.members
  }

  /** Is it known here, so that nobody else is asked. */
  async #isOurs(name: string): Promise<boolean> {
    return !this.#parts.merges(name) && (await known(this.#local, name)).length > 0
  }

  async #isHidden(name: string): Promise<boolean> {
    return (await known(this.#parts.hidden, name)).length > 0
  }

  async #each<T>(name: string, read: (member: Repository) => Promise<T | undefined>): Promise<T[]> {
    const found = await Promise.all((await this.#knowing(name)).map(read))
    return found.filter((one) => one !== undefined)
  }

  async #merge<T>(page: Page, read: (member: Repository) => Promise<T[]>, name: (entry: T) => string): Promise<T[]> {
    const merged = new Map<string, T>()
    for (const entries of await Promise.all(this.#parts.members.map(read)))
      for (const entry of entries) if (!merged.has(name(entry))) merged.set(name(entry), entry)
    return [...merged.entries()]
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .slice(0, page.limit)
      .map(([, entry]) => entry)
  }
}

/** The first that is found. What one member refuses another may have; if none has, the refusal is what is told. */
async function first<T>(
  members: readonly Repository[],
  find: Find<T>,
): Promise<{ member: Repository; found: T } | undefined> {
  let refusal: RegistryError | undefined
  for (const member of members) {
    try {
      const found = await find(member)
      if (found !== undefined) return { member, found }
    } catch (error) {
      refusal ??= refusalIn(error)
    }
  }
  if (refusal) throw refusal
  return undefined
}

/** Throws what is none. */
function refusalIn(error: unknown): RegistryError {
  if (error instanceof RegistryError && error.kind === 'forbidden') return error
  throw error
}

function join(members: readonly Repository[], stamps: readonly string[]): string {
  return members.map((member, i) => `${member.record.scope}:${stamps[i]}`).join(',')
}

async function known(members: readonly Repository[], name: string): Promise<Repository[]> {
  const found = await Promise.all(members.map((member) => member.package(name)))
  return members.filter((_, i) => found[i] !== undefined)
}
