/**
 * What formats read and publish to. Hosted, remote and virtual repositories (kinds/) implement it and know no format;
 * the same interface answers on the primary and on a node.
 */
import type { Arrival } from './kinds/arrival.js'
import type { Bytes, Page, Principal, Upload, WriteOptions } from './ports.js'
import type { FileRecord, Held, Package, Position, RepositoryRecord, Step, Stored, Version } from './records.js'
import type { Judged, Refusal } from './rules/screen.js'

/** How old something is that an upstream is the authority of. */
export interface Freshness {
  /** It should have been looked at again, and the upstream could not be asked. */
  stale: boolean
  /** Since the upstream last said that it is so; undefined: before this process began. */
  ageSeconds?: number
}

export interface Repository {
  readonly key: string
  readonly record: RepositoryRecord
  /**
   * Changes whenever anything that is read below about `name` changes, and differs between sets of members seen.
   * It is the validator of a rendered index: equal on every machine that has applied the same changes.
   */
  stamp(name: string): string | Promise<string>
  package(name: string): Promise<Package | undefined>
  /** In byte order; a million fit. */
  packages(page: Page): Promise<Package[]>
  /** In order of publication; through a virtual repository the first member wins per version. */
  versions(name: string): AsyncIterable<Version>
  version(name: string, version: string): Promise<Version | undefined>
  tags(name: string): Promise<Record<string, string>>
  /** The version that one tag names. */
  tag(name: string, tag: string): Promise<string | undefined>
  /** Its bytes are held or can be fetched. */
  file(path: string): Promise<FileRecord | undefined>
  /** As `file`, but does not wait for the end of what is on its way here. */
  arrive?(path: string): Promise<FileRecord | Arrival | undefined>
  /** Of what may be old: in remote repositories, and through virtual ones. */
  freshness?(name: string): Freshness | undefined
  /** Asks the origin about a package, unless that was done lately; what it lists is recorded when this resolves. */
  renew?(name: string): Promise<Freshness | undefined>
  /** The package whose file a path would be; undefined: of none. Remote repositories only. */
  packageOf?(path: string): string | undefined
  /** In byte order of the path. */
  files(page: Page): Promise<FileRecord[]>
  open(file: Held): Promise<Bytes>
  /** What of it could be read with nobody to ask: no upstream, no primary, no peer. What would have to be asked for throws `unavailable`. */
  held(): Repository
  /** Where publishing goes; undefined: nowhere. */
  readonly target: Writable | undefined
}

/** A repository that is not made of others. */
export interface Single extends Repository {
  held(): Single
  /** The version that a file is of, or would be if the origin gave it out; the origin is not asked for the file. */
  owner(path: string): Promise<Pick<Version, 'package' | 'version'> | undefined>
  /** A version as it is known here, whatever rules say; the origin is not asked. */
  recorded(name: string, version: string): Promise<Version | undefined>
  /** Why a version may not be used. Where there are no rules, this is not there. */
  judge?(version: Judged): Refusal | undefined
  /** May a name not be looked up. */
  reserves?(name: string): boolean
  /** Must nobody have a recorded file, whatever its age. */
  blocks?(file: FileRecord): Promise<boolean>
}

export interface Writable {
  readonly record: RepositoryRecord
  /** Bytes before names: durable when it returns. Throws `over_quota` before or while reading when the quota cannot hold it. */
  receive(body: AsyncIterable<Uint8Array>, options: WriteOptions & { length?: number }): Promise<Stored>
  /** An upload in several requests, under an id that the caller derives (at most 64 hexadecimal digits). */
  begin(id: string): Promise<Upload>
  resume(id: string): Promise<Upload | undefined>
  /** Throws `over_quota` when the repository cannot take so many more bytes. */
  checkRoom(bytes: number): Promise<void>
  /**
   * Names before acknowledgement: all steps or none, in consecutive places of the log.
   * `unchanged` is an optimistic lock: the stamp number of the package as the writer saw it; otherwise `conflict`.
   * Throws `conflict` (with a sentence) for a taken version or path, `over_quota`, `missing`.
   */
  commit(steps: Step[], by: Principal, unchanged?: { package: string; last: number }): Promise<Position>
  /** Time as commits will record it; formats have no clock. ISO 8601. */
  now(): string
}
