/**
 * What a change does to rows: the only place that knows. The primary runs it with rules, which may refuse; a replica runs
 * it without, on changes that were accepted, and reaches the same rows.
 */
import { RegistryError } from '../errors.js'
import { matchesAny } from '../glob.js'
import { type Change, type File, type FileRecord, FLEET, type Held, type Manifest, type Package } from '../records.js'
import { keyText, type RowKey, type RowWrite, rowKey, type Table, type Tables } from './rows.js'

/** Reads rows as they are before the change, with what earlier changes of the same batch wrote. */
export type ReadRow = <T extends Table>(key: RowKey<T>) => Promise<Tables[T] | undefined>

export interface Rules {
  /** May a path be given other bytes, and a version be published again. */
  redeploy: boolean
  /** Globs over tags that are set once. */
  immutableTags: readonly string[]
}

/** Throws `conflict` or `missing` under rules; never without. Pure but for `read`. */
export async function reduce(change: Change, number: number, read: ReadRow, rules?: Rules): Promise<RowWrite[]> {
  const work = new Work(change, number, read, rules)
  await work.run()
  return [...work.writes.values()]
}

/** The keys that reducing a change will surely read, so that a store can fetch them together. */
export function needs(change: Change): RowKey[] {
  const { scope, lease } = change
  const own = ownNeeds(change)
  return lease ? [...own, rowKey('returned', scope, lease.id)] : own
}

function ownNeeds(change: Change): RowKey[] {
  const { scope } = change
  switch (change.kind) {
    case 'publish': {
      const { manifest } = change
      return [
        rowKey('package', scope, manifest.package),
        rowKey('version', scope, manifest.package, manifest.version),
        ...manifest.files.map((file) => rowKey('file', scope, file.path)),
      ]
    }
    case 'repository':
      return []
    case 'access':
      return []
    case 'hold':
      return [rowKey('file', scope, change.file.path)]
    case 'tag':
    case 'listing':
      return [rowKey('package', scope, change.package)]
    default: {
      const version = change.version === null ? [] : [rowKey('version', scope, change.package, change.version)]
      return [rowKey('package', scope, change.package), ...version]
    }
  }
}

/** The package that a change touches, if any. */
export function touched(change: Change): string | undefined {
  if (change.kind === 'publish') return change.manifest.package
  if (change.kind === 'repository' || change.kind === 'access') return undefined
  // What is offered stays the same when some of it is held.
  if (change.kind === 'hold') return undefined
  return change.package
}

class Work {
  readonly writes = new Map<string, RowWrite>()
  readonly #change: Change
  readonly #number: number
  readonly #read: ReadRow
  readonly #rules: Rules | undefined

  constructor(change: Change, number: number, read: ReadRow, rules: Rules | undefined) {
    this.#change = change
    this.#number = number
    this.#read = read
    this.#rules = rules
  }

  async run(): Promise<void> {
    const { scope, lease } = this.#change
    await this.#step()
    if (lease) this.#put(rowKey('returned', scope, lease.id), { number: lease.number })
  }

  async #step(): Promise<void> {
    const change = this.#change
    switch (change.kind) {
      case 'publish':
        return this.#publish(change.manifest, change.tags ?? [])
      case 'add':
        return this.#add(change.package, change.version, change.files)
      case 'hold':
        return this.#hold(change.package, change.version, change.file)
      case 'amend':
        return this.#amend(change.package, change.version, change.meta)
      case 'remove':
        return this.#remove(change.package, change.version)
      case 'withdraw':
        return this.#withdraw(change.package, change.version, change.path)
      case 'restore':
        return this.#restore(change.package, change.version)
      case 'tag':
        return this.#tag(change.package, change.tag, change.version)
      case 'listing':
        this.#put(rowKey('listing', change.scope, change.package), { blob: change.blob, at: change.at })
        return this.#touch(change.package, (row) => row)
      case 'repository':
        return this.#put(
          rowKey('repository', FLEET, change.key),
          change.record ? { ...change.record, number: this.#number } : undefined,
        )
      case 'access':
        return this.#put(rowKey('access', FLEET, change.subject, change.id), change.record ?? undefined)
      default:
        throw new RegistryError(
          'unavailable',
          `This replica does not know the change kind "${kindOf(change)}"; update it`,
          {
            code: 'unknown_change',
          },
        )
    }
  }

  async #publish(manifest: Manifest, tags: string[]): Promise<void> {
    const { scope } = this.#change
    const key = rowKey('version', scope, manifest.package, manifest.version)
    const before = await this.#read(key)
    if (before) {
      this.#refuseUnlessRedeploy(
        before.removedAt
          ? `${label(manifest.package, manifest.version)} was removed, and a removed version never comes back with other bytes`
          : `${label(manifest.package, manifest.version)} is already published`,
      )
      const kept = new Set(manifest.files.map((file) => file.path))
      for (const file of before.files) if (!kept.has(file.path)) await this.#removeFile(file.path)
    }
    for (const file of manifest.files) await this.#putFile(file, manifest)
    this.#put(key, { ...manifest, first: before && !before.removedAt ? before.first : this.#number })
    for (const tag of tags) await this.#putTag(manifest.package, tag, manifest.version)
    await this.#touch(manifest.package, (row) => ({
      ...row,
      versions: row.versions + (before && !before.removedAt ? 0 : 1),
    }))
  }

  async #add(name: string, version: string, files: File[]): Promise<void> {
    const row = await this.#live(name, version)
    if (!row) return
    for (const file of files) await this.#putFile(file, row)
    const paths = new Set(files.map((file) => file.path))
    this.#put(rowKey('version', this.#change.scope, name, version), {
      ...row,
      files: [...row.files.filter((file) => !paths.has(file.path)), ...files],
    })
    await this.#touch(name, (entry) => entry)
  }

  /** The version is one of a listing, which has no row of its own. */
  async #hold(name: string, version: string, file: Held): Promise<void> {
    const { at } = this.#change
    await this.#putFile(file, { package: name, version, files: [], meta: '', publishedAt: at })
  }

  async #amend(name: string, version: string | null, meta: string): Promise<void> {
    if (version === null) return this.#touch(name, (entry) => ({ ...entry, meta }))
    const row = await this.#live(name, version)
    if (!row) return
    this.#put(rowKey('version', this.#change.scope, name, version), { ...row, meta })
    await this.#touch(name, (entry) => entry)
  }

  async #remove(name: string, version: string): Promise<void> {
    const row = await this.#live(name, version)
    if (!row) return
    for (const file of row.files) await this.#removeFile(file.path)
    this.#put(rowKey('version', this.#change.scope, name, version), { ...row, removedAt: this.#change.at })
    await this.#touch(name, (entry) => ({ ...entry, versions: Math.max(0, entry.versions - 1) }))
  }

  async #withdraw(name: string, version: string, path: string): Promise<void> {
    const row = await this.#live(name, version)
    if (!row) return
    if (this.#rules && !row.files.some((file) => file.path === path))
      throw new RegistryError('missing', `There is no ${path} in ${label(name, version)}`)
    await this.#removeFile(path)
    this.#put(rowKey('version', this.#change.scope, name, version), {
      ...row,
      files: row.files.filter((file) => file.path !== path),
    })
    await this.#touch(name, (entry) => entry)
  }

  async #restore(name: string, version: string): Promise<void> {
    const key = rowKey('version', this.#change.scope, name, version)
    const row = await this.#read(key)
    if (!row?.removedAt) {
      if (this.#rules)
        throw new RegistryError('missing', `${label(name, version)} was not removed, so it cannot be restored`)
      return
    }
    const { removedAt: _, ...live } = row
    this.#put(key, live)
    for (const file of live.files) if (isHeld(file)) await this.#restoreFile(file, live)
    await this.#touch(name, (entry) => ({ ...entry, versions: entry.versions + 1 }))
  }

  async #tag(name: string, tag: string, version: string | null): Promise<void> {
    if (version !== null && this.#rules && !(await this.#live(name, version))) return
    await this.#putTag(name, tag, version)
    await this.#touch(name, (entry) => entry)
  }

  async #putTag(name: string, tag: string, version: string | null): Promise<void> {
    const key = rowKey('tag', this.#change.scope, name, tag)
    if (this.#rules && matchesAny(this.#rules.immutableTags, tag)) {
      const before = await this.#read(key)
      if (before && before.version !== version) throw immutableTag(name, tag)
    }
    this.#put(key, version === null ? undefined : { version })
  }

  async #putFile(file: File, owner: Manifest): Promise<void> {
    if (!isHeld(file)) return
    const key = rowKey('file', this.#change.scope, file.path)
    const before = await this.#read(key)
    if (before && before.digest !== file.digest) {
      this.#refuseUnlessRedeploy(
        before.removedAt
          ? `${file.path} was removed, and its path stays burned`
          : `${file.path} already exists with other bytes`,
      )
    }
    if (before && !before.removedAt && (before.package !== owner.package || before.version !== owner.version))
      this.#refuseUnlessRedeploy(`${file.path} already belongs to ${label(before.package, before.version)}`)
    this.#put(key, { ...record(file, owner), number: this.#number })
  }

  async #restoreFile(file: Held, owner: Manifest): Promise<void> {
    const key = rowKey('file', this.#change.scope, file.path)
    const { number } = (await this.#read(key)) ?? {}
    this.#put(key, { ...record(file, owner), ...(number === undefined ? {} : { number }) })
  }

  async #removeFile(path: string): Promise<void> {
    const key = rowKey('file', this.#change.scope, path)
    const before = await this.#read(key)
    if (before) this.#put(key, { ...before, removedAt: this.#change.at })
  }

  async #live(name: string, version: string): Promise<Tables['version'] | undefined> {
    const row = await this.#read(rowKey('version', this.#change.scope, name, version))
    if (row && !row.removedAt) return row
    if (this.#rules) throw new RegistryError('missing', `There is no ${label(name, version)}`)
    return undefined
  }

  async #touch(name: string, edit: (row: Package) => Package): Promise<void> {
    const { scope, at } = this.#change
    const before = (await this.#read(rowKey('package', scope, name))) ?? {
      name,
      last: 0,
      versions: 0,
      created: at,
      modified: at,
      meta: '',
    }
    this.#put(rowKey('package', scope, name), { ...edit(before), last: this.#number, modified: at })
  }

  #refuseUnlessRedeploy(sentence: string): void {
    if (this.#rules && !this.#rules.redeploy) throw new RegistryError('conflict', sentence)
  }

  #put<T extends Table>(key: RowKey<T>, value: Tables[T] | undefined): void {
    this.writes.set(keyText(key), { key, number: this.#number, value })
  }
}

export function immutableTag(name: string, tag: string): RegistryError {
  return new RegistryError('conflict', `The tag ${tag} of ${name} is immutable here`, { code: 'tag_immutable' })
}

function isHeld(file: File): file is Held {
  return !('offered' in file)
}

function record(file: Held, owner: Manifest): FileRecord {
  return { ...file, package: owner.package, version: owner.version, publishedAt: owner.publishedAt }
}

function label(name: string, version: string): string {
  return version === '' ? name : `${name}@${version}`
}

function kindOf(change: never): string {
  return String((change as { kind?: unknown }).kind)
}
