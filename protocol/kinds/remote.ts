/**
 * A repository that another registry is the authority of: what is recorded here is served, however old it is; what is not is asked
 * of the origin. The origin is an upstream for the primary, and the primary for a node. What is held is looked after behind the
 * reader's back (stale-while-revalidate), so a slow origin slows nobody who can be served.
 */
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import type { Grammar, Upstream } from '../format.js'
import type { Metadata, Origin, Owner, Wanted } from '../ports.js'
import type { FileRecord, Package, RepositoryRecord, Version } from '../records.js'
import type { Freshness, Single } from '../repository.js'
import type { Arrival } from './arrival.js'
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

interface Check {
  /** Something is recorded, so there is no need to wait for the origin. */
  held: boolean
  /** Until then nothing is asked. */
  untilMs: number
  /** When the origin last said that it is so. */
  confirmedMs: number | undefined
  /** The origin could not be asked when it should have been. */
  stale: boolean
}

const REMEMBERED = 100_000
const REMEMBERED_CUT_OFF = 1000
const TTL_MS = 60_000
const ABSENT_MS = 60_000
/** After an origin that failed: behind the reader's back, so it may be soon. */
const RETRY_MS = 10_000
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
  /** By package, or by path where nothing is listed. */
  readonly #checks: LRUCache<string, Check>
  readonly #renewing = new Map<string, Promise<void>>()
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
    this.#checks = new LRUCache({ max: parts?.remembered ?? REMEMBERED })
    this.#absent = new LRUCache({ max: parts?.remembered ?? REMEMBERED })
  }

  packageOf(path: string): string | undefined {
    const { upstream } = this.#parts ?? {}
    return upstream?.listing ? upstream.listing.packageOf(path) : path
  }

  freshness(name: string): Freshness | undefined {
    const check = this.#checks.get(name)
    if (!check) return undefined
    const { confirmedMs, stale } = check
    const age = confirmedMs === undefined ? undefined : Math.max(0, (this.#now - confirmedMs) / 1000)
    return { stale, ...(age === undefined ? {} : { ageSeconds: Math.floor(age) }) }
  }

  override stamp(name: string): string | Promise<string> {
    if (!this.#lists) return super.stamp(name)
    const known = this.#known(name)
    return known ? known.then(() => super.stamp(name)) : super.stamp(name)
  }

  override async package(name: string): Promise<Package | undefined> {
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
    if (!this.#lists) return super.version(name, version)
    return (await this.#listing(name))?.versions.get(version)
  }

  override async tags(name: string): Promise<Record<string, string>> {
    if (!this.#lists) return super.tags(name)
    return (await this.#listing(name))?.tags ?? {}
  }

  override async tag(name: string, tag: string): Promise<string | undefined> {
    if (!this.#lists) return super.tag(name, tag)
    const tags = await this.tags(name)
    return Object.hasOwn(tags, tag) ? tags[tag] : undefined
  }

  override async owner(path: string): Promise<Pick<Version, 'package' | 'version'> | undefined> {
    const held = await super.owner(path)
    const name = held || !this.#parts ? undefined : this.packageOf(path)
    const found = name === undefined ? undefined : await this.#owner(name, path)
    return held ?? (found && name !== undefined ? { package: name, version: found.version } : undefined)
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
      if (this.#mutable(path)) this.#lookAfter(path, held)
      return held
    }
    if ((this.#absent.get(path) ?? 0) > this.#now) return undefined
    const arriving = this.#begin(path)
    const arrival = await arriving
    // It may have come to its end, and its record be there, while this one waited.
    return arrival ?? super.file(path)
  }

  /** What the origin has under a name is recorded here when it resolves, or was before. Throws when nothing is, and it cannot be asked. */
  async renew(name: string): Promise<Freshness | undefined> {
    const check = this.#checks.get(name)
    if (this.#lists && (!check || check.untilMs <= this.#now)) await this.#ask(name)
    return this.freshness(name)
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

  get #lists(): boolean {
    return this.#parts?.upstream.listing !== undefined
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
    await this.#known(name)
    return this.#held(name)
  }

  /** As it is recorded. */
  async #held(name: string): Promise<{ listing: Listing; at: string } | undefined> {
    const { scope } = this.record
    const row = await this.metadata.listing(scope, name)
    const listing = row && (await this.#parts?.listings.read(name, row.blob, () => this.blobs.open(row.blob, scope)))
    return listing && { listing, at: row.at }
  }

  /** undefined: what is recorded is all there is to say now. */
  #known(name: string): Promise<void> | undefined {
    const check = this.#checks.get(name)
    if (check && check.untilMs > this.#now) return undefined
    if (!check?.held) return this.#first(name)
    this.#behind(name)
    return undefined
  }

  async #first(name: string): Promise<void> {
    if (!(await this.metadata.listing(this.record.scope, name))) return this.#ask(name)
    if (!this.#checks.has(name))
      this.#checks.set(name, { held: true, untilMs: 0, confirmedMs: undefined, stale: false })
    this.#behind(name)
  }

  #behind(name: string): void {
    // What went wrong is in the check: the next reader sees that what it gets is old.
    void this.#ask(name).catch(() => undefined)
  }

  #ask(name: string): Promise<void> {
    const asking = this.#renewing.get(name) ?? this.#askOrigin(name).finally(() => this.#renewing.delete(name))
    this.#renewing.set(name, asking)
    return asking
  }

  async #askOrigin(name: string): Promise<void> {
    const { origin, absentMs = ABSENT_MS } = this.#checked()
    const before = this.#checks.get(name)
    try {
      const answer = await origin.check(this.record, name)
      const ttl = answer.known ? this.#ttlMs : absentMs
      const confirmedMs =
        answer.known && answer.ageSeconds !== undefined ? this.#now - answer.ageSeconds * 1000 : undefined
      const untilMs = this.#now + (answer.stale ? RETRY_MS : ttl)
      this.#checks.set(name, { held: answer.known, untilMs, confirmedMs, stale: answer.stale })
    } catch (error) {
      if (!(await this.metadata.listing(this.record.scope, name))) throw error
      const confirmedMs = before?.confirmedMs
      this.#checks.set(name, { held: true, untilMs: this.#now + RETRY_MS, confirmedMs, stale: true })
      this.#parts?.onFault?.(error, this.record, name)
    }
  }

  get #ttlMs(): number {
    const seconds = this.record.metadataTtlSeconds
    return seconds === undefined ? TTL_MS : seconds * 1000
  }

  /** A file that may change at the origin: asked for again once its time is over, and served as it is meanwhile. */
  #lookAfter(path: string, held: FileRecord): void {
    const check = this.#checks.get(path)
    if (check && check.untilMs > this.#now) return
    const { origin } = this.#checked()
    const confirmedMs = check?.confirmedMs ?? Date.parse(held.publishedAt)
    const known = { held: true, confirmedMs }
    this.#checks.set(path, { ...known, untilMs: this.#now + RETRY_MS, stale: check?.stale ?? false })
    const owner = async () => ({ version: held.version, promised: undefined })
    const wanted: Wanted = { path, package: held.package, owner, held }
    void origin
      .fetch(this.record, wanted)
      .then(async (found) => (found && 'done' in found ? void (await found.done) : found))
      .then(
        ({ stale, ageSeconds = 0 } = { stale: false }) => {
          const confirmed = this.#now - ageSeconds * 1000
          const untilMs = this.#now + (stale || ageSeconds * 1000 >= this.#ttlMs ? RETRY_MS : this.#ttlMs)
          this.#checks.set(path, { held: true, untilMs, confirmedMs: confirmed, stale })
        },
        (error: unknown) => {
          this.#checks.set(path, { ...known, untilMs: this.#now + RETRY_MS, stale: true })
          this.#parts?.onFault?.(error, this.record, path)
        },
      )
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
    const name = this.packageOf(path)
    const found =
      name === undefined
        ? undefined
        : await origin.fetch(this.record, {
            path,
            package: name,
            owner: () => this.#owner(name, path),
            held: undefined,
          })
    if (found && 'done' in found) return found
    if (!found && !(await super.file(path))) this.#absent.set(path, this.#now + absentMs)
    return undefined
  }

  async #owner(name: string, path: string): Promise<Owner | undefined> {
    if (!this.#lists) return { version: '', promised: undefined }
    const unlisted = this.#parts?.upstream.listing?.unlisted?.(path)
    if (unlisted !== undefined) return { version: unlisted, promised: undefined }
    const found = (await this.#listing(name))?.owner(path) ?? (await this.#lookAgain(name, path))
    return found && { version: found.version.version, promised: found.file.promised }
  }

  async #lookAgain(name: string, path: string): Promise<ReturnType<Listing['owner']>> {
    const { confirmedMs } = this.#checks.get(name) ?? {}
    if (confirmedMs === undefined || this.#now - confirmedMs < LOOK_AGAIN_MS) return undefined
    await this.#ask(name)
    return (await this.#listing(name))?.owner(path)
  }

  #checked(): RemoteParts {
    if (this.#parts) return this.#parts
    throw new RegistryError('unavailable', `${this.key} has no origin here`)
  }
}
