/**
 * A repository that another registry is the authority of: what is recorded here is served, however old it is; what is not is asked
 * of the origin. The origin is an upstream for the primary, and the primary for a node. What is held is looked after behind the
 * reader's back (stale-while-revalidate), so a slow origin slows nobody who can be served.
 */
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import type { Grammar, Upstream } from '../format.js'
import type { Metadata, Origin, OriginCheck, Owner, Wanted } from '../ports.js'
import type { FileRecord, Package, RepositoryRecord, Version } from '../records.js'
import type { Freshness, Single } from '../repository.js'
import type { Arrival } from './arrival.js'
import { Checks, type Inquiry, type Kept } from './checks.js'
import type { Listing, Listings } from './listing.js'
import { onlyHere, type Readable, Recorded } from './recorded.js'

export interface RemoteParts {
  origin: Origin
  upstream: Upstream
  listings: Pick<Listings, 'read'>
  nowMs: () => number
  /** How long an absence is believed. */
  absentMs?: number
  /** How many names are kept in mind. */
  remembered?: number
  /** Told why something that is held could not be looked at again. */
  onFault?: (error: unknown, repository: RepositoryRecord, name: string) => void
}

const REMEMBERED = 100_000
const REMEMBERED_CUT_OFF = 1000
const TTL_MS = 60_000
const ABSENT_MS = 60_000
/** A file that no listing knows may have been published a moment ago. */
const LOOK_AGAIN_MS = 5_000

const NOWHERE: Origin = {
  check: async (_, name) => {
    throw new RegistryError('unavailable', `What there is of ${name} is not known here`)
  },
  fetch: async (_, { path }) => {
    throw new RegistryError('unavailable', `${path} is not here`)
  },
}

export class Remote extends Recorded {
  readonly #parts: RemoteParts | undefined
  /** By package and reference, or by path. */
  readonly #checks: Checks
  readonly #absent: LRUCache<string, number>
  readonly #arriving = new Map<string, Promise<Arrival | undefined>>()

  /** Without `parts` it is what is recorded and nothing else. */
  constructor(
    record: RepositoryRecord,
    metadata: Metadata,
    blobs: Readable,
    parts?: RemoteParts,
    nameOf?: Grammar['name'],
  ) {
    super(record, metadata, blobs, nameOf)
    this.#parts = parts
    const { nowMs = () => 0, absentMs = ABSENT_MS, remembered = REMEMBERED, onFault } = parts ?? {}
    this.#absent = new LRUCache({ max: remembered })
    this.#checks = new Checks({
      nowMs,
      ttlMs: this.#ttlMs,
      absentMs,
      remembered,
      onFault: onFault && ((error, key) => onFault(error, record, key)),
    })
  }

  packageOf(path: string): string | undefined {
    const { upstream } = this.#parts ?? {}
    return upstream?.listing ? upstream.listing.packageOf(path) : path
  }

  freshness(name: string, reference?: string): Freshness | undefined {
    return this.#checks.freshness(keyOf(name, this.#looksUp ? reference : undefined))
  }

  override stamp(name: string, reference?: string): string | Promise<string> {
    const known = this.#know(name, reference)
    return known ? known.then(() => super.stamp(name)) : super.stamp(name)
  }

  override async package(name: string): Promise<Package | undefined> {
    if (this.#looksUp) await this.#know(name)
    if (!this.#lists) return super.package(name)
    const offered = await this.#offered(name)
    return offered?.listing.package(await this.metadata.stamp(this.record.scope, name), offered.at)
  }

  override async *versions(name: string): AsyncIterable<Version> {
    if (!this.#lists) return yield* super.versions(name)
    const listing = await this.#listing(name)
    if (listing) yield* listing.versions.values()
  }

  override async version(name: string, version: string): Promise<Version | undefined> {
    if (this.#looksUp) await this.#know(name, version)
    if (!this.#lists) return super.version(name, version)
    return (await this.#listing(name))?.versions.get(version)
  }

  override async tags(name: string): Promise<Record<string, string>> {
    if (!this.#parts?.upstream.listing) return super.tags(name)
    const { tags = {} } = (await this.#listing(name)) ?? {}
    // Those that were read know their version.
    return this.#looksUp ? { ...tags, ...(await super.tags(name)) } : tags
  }

  override async tag(name: string, tag: string): Promise<string | undefined> {
    if (this.#looksUp) await this.#know(name, tag)
    if (!this.#lists) return super.tag(name, tag)
    const tags = await this.tags(name)
    return Object.hasOwn(tags, tag) ? tags[tag] : undefined
  }

  override async owner(path: string): Promise<Pick<Version, 'package' | 'version'> | undefined> {
    const held = await super.owner(path)
    if (held || !this.#parts) return held
    const document = this.#parts.upstream.lookup?.referenceOf(path)
    if (document) return { package: document.name, version: document.reference }
    const askable = this.#askable(path)
    const found = await askable?.owner()
    return askable && found && { package: askable.package, version: found.version }
  }

  override async recorded(name: string, version: string): Promise<Version | undefined> {
    return this.#lists ? (await this.#held(name))?.listing.versions.get(version) : super.recorded(name, version)
  }

  override async file(path: string): Promise<FileRecord | undefined> {
    const found = await this.arrive(path)
    return found && ('digest' in found ? found : found.done)
  }

  async arrive(path: string): Promise<FileRecord | Arrival | undefined> {
    const held = await super.file(path)
    if (!this.#parts) return held
    if (held) {
      if (this.#mutable(path) && !this.#looksUp) this.#lookAfter(path, held)
      return held
    }
    const document = this.#parts.upstream.lookup?.referenceOf(path)
    if (document) {
      await this.#know(document.name, document.reference)
      return super.file(path)
    }
    if ((this.#absent.get(path) ?? 0) > this.#now) return undefined
    const arriving = this.#begin(path)
    const arrival = await arriving
    // It may have come to its end, and its record be there, while this one waited.
    return arrival ?? super.file(path)
  }

  /** What the origin has under a name is recorded here when it resolves, or was before. Throws when nothing is, and it cannot be asked. */
  async renew(name: string, reference?: string): Promise<OriginCheck> {
    if (!this.#parts?.upstream.listing) return { known: false, stale: false }
    const one = this.#looksUp ? reference : undefined
    return this.#checks.renew(keyOf(name, one), this.#inquiry(name, one))
  }

  /** The same code as ever, with an origin that is never there. */
  override held(): Single {
    const [parts, blobs] = [this.#parts, onlyHere(this.blobs)]
    if (!parts) return super.held()
    // What is in memory is gone with the process: only a listing whose bytes are here counts.
    const read: Listings['read'] = async (name, blob, open) => {
      const bytes = await open()
      return parts.listings.read(name, blob, async () => bytes)
    }
    const { onFault: _, ...rest } = parts
    const cut = { ...rest, origin: NOWHERE, listings: { read }, remembered: REMEMBERED_CUT_OFF }
    return new Remote(this.record, this.metadata, blobs, cut)
  }

  /** Are versions what the origin lists. */
  get #lists(): boolean {
    return this.#parts?.upstream.listing !== undefined && !this.#looksUp
  }

  /** Is the origin asked for one reference at a time. */
  get #looksUp(): boolean {
    return this.#parts?.upstream.lookup !== undefined
  }

  get #now(): number {
    return this.#parts?.nowMs() ?? 0
  }

  #mutable(path: string): boolean {
    return this.record.redeploy || this.#parts?.upstream.mutable?.(path) === true
  }

  async #listing(name: string): Promise<Listing | undefined> {
    return (await this.#offered(name))?.listing
  }

  /** `at`: when it was recorded. */
  async #offered(name: string): Promise<{ listing: Listing; at: string } | undefined> {
    await this.#know(name)
    return this.#held(name)
  }

  /** As it is recorded. */
  async #held(name: string): Promise<{ listing: Listing; at: string } | undefined> {
    const { scope } = this.record
    const row = await this.metadata.listing(scope, name)
    const listing = row && (await this.#parts?.listings.read(name, row.blob, () => this.blobs.open(row.blob, scope)))
    return listing && { listing, at: row.at }
  }

  /** Before a package is read, or one reference of it. undefined: there is nothing to wait for. */
  #know(name: string, reference?: string): Promise<void> | undefined {
    if (!this.#parts?.upstream.listing) return undefined
    const one = this.#looksUp ? reference : undefined
    return this.#checks.known(keyOf(name, one), () => this.#inquiry(name, one))
  }

  #inquiry(name: string, reference: string | undefined): Inquiry {
    const { origin } = this.#checked()
    return {
      kept: () => (reference === undefined ? this.#keptListing(name) : this.#keptReference(name, reference)),
      ask: () => origin.check(this.record, name, reference),
    }
  }

  async #keptListing(name: string): Promise<Kept> {
    const { scope } = this.record
    if (await this.metadata.listing(scope, name)) return 'all'
    return (await this.metadata.package(scope, name)) ? 'part' : 'nothing'
  }

  async #keptReference(name: string, reference: string): Promise<Kept> {
    const { scope } = this.record
    const version = await this.metadata.version(scope, name, reference)
    const { upstream } = this.#checked()
    if (version) return version.files.some(({ path }) => upstream.mutable?.(path)) ? 'all' : 'final'
    return (await this.metadata.tag(scope, name, reference)) === undefined ? 'nothing' : 'all'
  }

  get #ttlMs(): number {
    const seconds = this.record.metadataTtlSeconds
    return seconds === undefined ? TTL_MS : seconds * 1000
  }

  /** A file that may change at the origin: asked for again once its time is over, and served as it is meanwhile. */
  #lookAfter(path: string, held: FileRecord): void {
    const { origin } = this.#checked()
    const owner = async () => ({ version: held.version, promised: undefined })
    const wanted: Wanted = { path, package: held.package, owner, held }
    const ask = async () => {
      const found = await origin.fetch(this.record, wanted)
      if (found && 'done' in found) await found.done
      return { known: true, stale: false, ageSeconds: 0, ...(found && !('done' in found) ? found : {}) }
    }
    const confirmedMs = Date.parse(held.publishedAt)
    void this.#checks.known(path, () => ({ kept: async () => 'all', ask, confirmedMs }))
  }

  #begin(path: string): Promise<Arrival | undefined> {
    const running = this.#arriving.get(path)
    if (running) return running
    const begun = this.#fetch(path)
    const forget = () => void (this.#arriving.get(path) === begun && this.#arriving.delete(path))
    this.#arriving.set(path, begun)
    begun.then((arrival) => (arrival ? arrival.done.then(forget, forget) : forget()), forget)
    return begun
  }

  async #fetch(path: string): Promise<Arrival | undefined> {
    const { origin, absentMs = ABSENT_MS } = this.#checked()
    const askable = this.#askable(path)
    const found = askable && (await origin.fetch(this.record, { path, held: undefined, ...askable }))
    if (found && 'done' in found) return found
    if (!found && !(await super.file(path))) this.#absent.set(path, this.#now + absentMs)
    return undefined
  }

  /** What is asked of the origin about a file; undefined: no file can have the path. */
  #askable(path: string): Pick<Wanted, 'package' | 'owner'> | undefined {
    const { lookup } = this.#checked().upstream
    const of = lookup?.fileOf(path)
    if (lookup) return of && { package: of.package, owner: async () => of }
    const name = this.packageOf(path)
    return name === undefined ? undefined : { package: name, owner: () => this.#owner(name, path) }
  }

  async #owner(name: string, path: string): Promise<Owner | undefined> {
    if (!this.#lists) return { version: '', promised: undefined }
    const unlisted = this.#parts?.upstream.listing?.unlisted?.(path)
    if (unlisted !== undefined) return { version: unlisted, promised: undefined }
    const found = (await this.#listing(name))?.owner(path) ?? (await this.#lookAgain(name, path))
    return found && { version: found.version.version, promised: found.file.promised }
  }

  async #lookAgain(name: string, path: string): Promise<ReturnType<Listing['owner']>> {
    const confirmedMs = this.#checks.confirmedMs(name)
    if (confirmedMs === undefined || this.#now - confirmedMs < LOOK_AGAIN_MS) return undefined
    await this.#checks.ask(name, this.#inquiry(name, undefined))
    return (await this.#listing(name))?.owner(path)
  }

  #checked(): RemoteParts {
    if (this.#parts) return this.#parts
    throw new RegistryError('unavailable', `${this.key} has no origin here`)
  }
}

function keyOf(name: string, reference: string | undefined): string {
  return reference === undefined ? name : `${name}@${reference}`
}
