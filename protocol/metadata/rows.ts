/**
 * Rows are what changes leave behind: current state, addressed by (table, scope, name, sub). Postgres, LevelDB and memory
 * store them as they are; what they mean is decided once, in reduce.ts (writing) and state.ts (reading).
 */
import type { AccessRecords, FileRecord, Package, RepositoryRecord, Stored, Version } from '../records.js'

export interface Tables {
  /** name = package, sub = version. A removed version stays as a tombstone, so that its paths stay burned. */
  version: Version & Tombstone
  /** name = path, sub = ''. */
  file: FileRecord & Tombstone & Numbered
  /** name = package, sub = tag. */
  tag: { version: string }
  /** name = package, sub = ''. */
  package: Package
  /** name = package, sub = ''. What an upstream offers under a name. */
  listing: { blob: Stored; at: string }
  /** scope = fleet, name = repository key, sub = ''. */
  repository: RepositoryRecord & Numbered
  /** scope = fleet, name = kind of record, sub = id. */
  access: AccessRecords[keyof AccessRecords]
  /** name = lease, sub = ''. The newest of what was taken under it and is in the log. */
  returned: { number: number }
}

export interface Tombstone {
  /** ISO 8601; present when removed. */
  removedAt?: string
}

export interface Numbered {
  /** Log number of the change that says so, where a proof of it begins. Older versions wrote none. */
  number?: number
}

export type Table = keyof Tables

export interface RowKey<T extends Table = Table> {
  table: T
  scope: string
  name: string
  sub: string
}

export interface RowWrite {
  key: RowKey
  /** Log number of the change that writes it. */
  number: number
  /** undefined deletes. */
  value: Tables[Table] | undefined
}

export interface Scan {
  /** Only rows of this name. */
  name?: string
  /** Only names that begin with it. */
  prefix?: string
  /** Only names after it, in byte order. */
  after?: string
}

/** The few reads that a store provides. Order of a scan: bytes of name, then of sub. */
export interface Rows {
  get<T extends Table>(key: RowKey<T>): Promise<Tables[T] | undefined>
  scan<T extends Table>(table: T, scope: string, scan: Scan): AsyncIterable<{ key: RowKey<T>; value: Tables[T] }>
}

export function rowKey<T extends Table>(table: T, scope: string, name: string, sub = ''): RowKey<T> {
  return { table, scope, name, sub }
}

/** Does a scan of the table and scope that a key is of come upon it. */
export function isWithin({ name }: RowKey, scan: Scan): boolean {
  return (
    (scan.name === undefined || name === scan.name) &&
    name.startsWith(scan.prefix ?? '') &&
    (scan.after === undefined || byBytes(name, scan.after) > 0)
  )
}

/** The order of a scan. */
export function inOrder(a: RowKey, b: RowKey): number {
  return byBytes(keyText(a), keyText(b))
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** Unambiguous because no part holds NUL (paths and names are refused with one). Sorts like (table, scope, name, sub). */
export function keyText(key: RowKey): string {
  return `${key.table}\0${key.scope}\0${key.name}\0${key.sub}`
}
