/**
 * Metadata over Rows: what the ports promise to readers, written once for every store. Configuration and access records are
 * held in memory; stamps of packages are remembered and kept right by `note`, which every apply calls.
 */
import { LRUCache } from 'lru-cache'
import { GrantIndex } from '../access/grants.js'
import type { Metadata, Page } from '../ports.js'
import {
  type AccessKind,
  type AccessRecords,
  type Change,
  type FileRecord,
  FLEET,
  type GrantRecord,
  type Package,
  type Position,
  type RemovedFile,
  type RepositoryRecord,
  type Subject,
  type Version,
} from '../records.js'
import { touched } from './reduce.js'
import { type Rows, rowKey, type Tables } from './rows.js'

const NAMES_REMEMBERED = 100_000

export class State implements Metadata {
  head: Position
  configured = 0
  #rows: Rows
  readonly #repositories = new Map<string, RepositoryRecord>()
  readonly #scopes = new Map<string, RepositoryRecord>()
  /** Log numbers of the changes that made repositories what they are, by scope. */
  readonly #numbers = new Map<string, number>()
  readonly #access = new Map<AccessKind, Map<string, AccessRecords[AccessKind]>>()
  #grants = new GrantIndex()
  /** By name, then by scope: names come from what was asked before, so that their hashes are known. */
  readonly #stamps = new LRUCache<string, Map<string, number>>({ max: NAMES_REMEMBERED })
  readonly #listeners = new Set<(change: Change, number: number) => void>()

  private constructor(rows: Rows, head: Position) {
    this.#rows = rows
    this.head = head
  }

  /** Reads the configuration into memory. */
  static async open(rows: Rows, head: Position): Promise<State> {
    const state = new State(rows, head)
    await state.replace(rows, head)
    return state
  }

  /** Goes on over other rows: those of a rebuilt replica. */
  async replace(rows: Rows, head: Position): Promise<void> {
    const repositories: Tables['repository'][] = []
    const access: [AccessKind, string, AccessRecords[AccessKind]][] = []
    for await (const { value } of rows.scan('repository', FLEET, {})) repositories.push(value)
    for await (const { key, value } of rows.scan('access', FLEET, {}))
      access.push([key.name as AccessKind, key.sub, value])
    this.#rows = rows
    this.head = head
    this.#repositories.clear()
    this.#scopes.clear()
    this.#numbers.clear()
    this.#access.clear()
    this.#grants = new GrantIndex()
    this.#stamps.clear()
    this.configured++
    for (const { number, ...record } of repositories) this.#setRepository(record.key, record, number)
    for (const [kind, id, record] of access) this.#setAccess(kind, id, record)
  }

  /** Takes over changes that the rows hold by now, in order. */
  note(changes: { change: Change; number: number }[], head: Position): void {
    for (const { change, number } of changes) {
      if (change.kind === 'repository') this.#setRepository(change.key, change.record, number)
      else if (change.kind === 'access') this.#setAccess(change.subject, change.id, change.record)
      else this.#stamp(change.scope, touched(change) ?? '', number)
    }
    this.head = head
    for (const { change, number } of changes) for (const listener of this.#listeners) listener(change, number)
  }

  /** A package is read differently from now on, for the rows below have changed without the log. `last`: as its row says. */
  touch(scope: string, name: string, last: number): void {
    this.#stamp(scope, name, last)
  }

  /** Called after each applied change. Returns the way to stop. */
  onChange(listener: (change: Change, number: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  repository(key: string): RepositoryRecord | undefined {
    return this.#repositories.get(key)
  }

  /** The repository whose history a scope is. */
  scope(scope: string): RepositoryRecord | undefined {
    return this.#scopes.get(scope)
  }

  configuredBy(scope: string): number | undefined {
    return this.#numbers.get(scope)
  }

  async recordedBy(scope: string, path: string): Promise<number | undefined> {
    return (await this.#rows.get(rowKey('file', scope, path)))?.number
  }

  repositories(): RepositoryRecord[] {
    return [...this.#repositories.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  access<K extends AccessKind>(kind: K, id: string): AccessRecords[K] | undefined {
    return this.#kind(kind).get(id)
  }

  accessAll<K extends AccessKind>(kind: K): AccessRecords[K][] {
    return [...this.#kind(kind).values()]
  }

  grantsTo(subject: Subject, repository: string): readonly GrantRecord[] {
    return this.#grants.of(subject, repository)
  }

  stamp(scope: string, name: string): number | Promise<number> {
    return this.#stamps.get(name)?.get(scope) ?? this.#readStamp(scope, name)
  }

  async #readStamp(scope: string, name: string): Promise<number> {
    const row = await this.#rows.get(rowKey('package', scope, name))
    // A change may have been noted while the row was read: what is remembered by then is newer.
    const known = this.#stamps.get(name)?.get(scope)
    if (known !== undefined) return known
    if (row) this.#stamp(scope, name, row.last)
    return row?.last ?? 0
  }

  #stamp(scope: string, name: string, last: number): void {
    const known = this.#stamps.get(name)
    if (known) known.set(scope, last)
    else this.#stamps.set(name, new Map([[scope, last]]))
  }

  async package(scope: string, name: string): Promise<Package | undefined> {
    const row = await this.#rows.get(rowKey('package', scope, name))
    return row
  }

  async packages(scope: string, page: Page): Promise<Package[]> {
    const found: Package[] = []
    for await (const { value } of this.#rows.scan('package', scope, page)) {
      if (value.versions > 0) found.push(value)
      if (found.length >= page.limit) break
    }
    return found
  }

  async version(scope: string, name: string, version: string): Promise<Version | undefined> {
    const row = await this.#rows.get(rowKey('version', scope, name, version))
    return row && !row.removedAt ? row : undefined
  }

  async *versions(scope: string, name: string): AsyncIterable<Version> {
    const found: Tables['version'][] = []
    for await (const { value } of this.#rows.scan('version', scope, { name })) if (!value.removedAt) found.push(value)
    yield* found.sort((a, b) => a.first - b.first)
  }

  async tags(scope: string, name: string): Promise<Record<string, string>> {
    const tags: [string, string][] = []
    for await (const { key, value } of this.#rows.scan('tag', scope, { name })) tags.push([key.sub, value.version])
    return Object.fromEntries(tags)
  }

  async tag(scope: string, name: string, tag: string): Promise<string | undefined> {
    return (await this.#rows.get(rowKey('tag', scope, name, tag)))?.version
  }

  async listing(scope: string, name: string): Promise<Tables['listing'] | undefined> {
    return this.#rows.get(rowKey('listing', scope, name))
  }

  async file(scope: string, path: string): Promise<FileRecord | undefined> {
    const row = await this.#rows.get(rowKey('file', scope, path))
    return row && !row.removedAt ? row : undefined
  }

  async files(scope: string, page: Page): Promise<FileRecord[]> {
    const found: FileRecord[] = []
    for await (const { value } of this.#rows.scan('file', scope, page)) {
      if (!value.removedAt) found.push(value)
      if (found.length >= page.limit) break
    }
    return found
  }

  async removed(scope: string, path: string): Promise<RemovedFile | undefined> {
    const row = await this.#rows.get(rowKey('file', scope, path))
    return row?.removedAt ? { ...row, removedAt: row.removedAt } : undefined
  }

  #setRepository(key: string, record: RepositoryRecord | null, number: number | undefined): void {
    const before = this.#repositories.get(key)
    if (before) this.#scopes.delete(before.scope)
    if (before) this.#numbers.delete(before.scope)
    if (record) this.#scopes.set(record.scope, record)
    if (record && number !== undefined) this.#numbers.set(record.scope, number)
    if (record) this.#repositories.set(key, record)
    else this.#repositories.delete(key)
    this.configured++
  }

  #setAccess(kind: AccessKind, id: string, record: AccessRecords[AccessKind] | null): void {
    if (kind === 'grant') this.#grants.replace(this.access('grant', id), record as GrantRecord | null)
    const records = this.#kind(kind)
    // Each log-in makes a token, of which nothing that was derived before can speak.
    if (kind !== 'token' || records.has(id)) this.configured++
    if (record) records.set(id, record)
    else records.delete(id)
  }

  #kind<K extends AccessKind>(kind: K): Map<string, AccessRecords[K]> {
    const map = this.#access.get(kind) ?? new Map<string, AccessRecords[AccessKind]>()
    this.#access.set(kind, map)
    return map as Map<string, AccessRecords[K]>
  }
}
