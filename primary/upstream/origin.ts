/**
 * Upstreams as the origin of the primary's remote repositories. What it brings is checked, stored and committed before anybody can
 * have all of it; what is the same as before is no change. Which documents there are is for the format to say.
 */

import { LRUCache } from 'lru-cache'
import { once } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Asking, Format } from '../../protocol/format.js'
import { contentTypeOf } from '../../protocol/http/mime.js'
import { Arrival } from '../../protocol/kinds/arrival.js'
import { encodeListing, type Listed, type Listings } from '../../protocol/kinds/listing.js'
import type { Ledger } from '../../protocol/ledger.js'
import type { Blobs, Metadata, Origin, OriginCheck, Owner, Wanted } from '../../protocol/ports.js'
import type { FileRecord, RepositoryRecord, Step, Stored } from '../../protocol/records.js'
import type { UpstreamClient, UpstreamReply } from './client.js'
import type { Credentials } from './credentials.js'
import { nonsense, readDocument } from './document.js'
import type { Documents, UpstreamDocument } from './documents.js'
import { lookUp } from './lookup.js'
import { isMutable } from './mutable.js'
import { type Beside, checked, promisedBy } from './promised.js'
import { blaming, conditions, GONE, lengthOf, nextOf, refuseUnlessFound, validators } from './reply.js'
import { UpstreamTokens } from './tokens.js'

export interface UpstreamOriginParts {
  client: UpstreamClient
  documents: Documents
  credentials: Pick<Credentials, 'authorization' | 'headers'>
  metadata: Metadata
  ledger: Ledger
  blobs: Blobs
  listings: Listings
  formats: readonly Format[]
  /** ISO 8601. */
  now: () => string
  maxFileBytes: number
  maxDocumentBytes?: number
}

const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
const MAX_ASIDE_BYTES = 256 * 1024
const MAX_PAGES = 200
/** Who is said to have done it. */
const BY = 'upstream'
const AS_IT_IS = { 'accept-encoding': 'identity' }

interface Found {
  reply: UpstreamReply
  owner: Owner
}

type Taken = Wanted & Owner

export class UpstreamOrigin implements Origin {
  readonly #parts: UpstreamOriginParts
  /** Scopes whose files lie elsewhere than at their paths below the upstream's address. */
  readonly #elsewhere = new Set<string>()
  readonly #tokens: UpstreamTokens
  readonly #asides = new LRUCache<string, { atMs: number; document: Promise<Uint8Array | undefined> }>({ max: 100 })

  constructor(parts: UpstreamOriginParts) {
    this.#parts = parts
    this.#tokens = new UpstreamTokens(parts.client, () => Date.parse(parts.now()))
  }

  async check(repository: RepositoryRecord, name: string, reference?: string): Promise<OriginCheck> {
    if (reference !== undefined) return this.#lookUp(repository, name, reference)
    const { metadata, documents, listings, maxDocumentBytes = MAX_DOCUMENT_BYTES } = this.#parts
    const { listing } = this.#format(repository).upstream ?? {}
    const base = this.#base(repository)
    const asked = listing?.ask(name, base)
    if (!listing || !asked) return { known: false, stale: false }
    const row = await metadata.listing(repository.scope, name)
    const before = row && (await this.#document(repository, name))
    const reply = await this.#get(repository, name, new URL(asked.path, base), {
      'accept-encoding': 'gzip',
      ...asked.headers,
      ...conditions(before),
    })
    if (reply.status === 304 || GONE.has(reply.status)) {
      reply.cancel()
      // What was taken away there is not taken away from those who build with it.
      return { known: row !== undefined, stale: false, ageSeconds: 0 }
    }
    refuseUnlessFound(reply)
    const document = await readDocument(reply, maxDocumentBytes)
    const asking = this.#asking(repository, name, reply, asked.headers)
    const { urls, ...listed } = await blaming(reply.url, () => listing.parse(name, document, asking))
    if (listed.versions.length === 0 && Object.keys(listed.tags).length === 0)
      return { known: row !== undefined, stale: false, ageSeconds: 0 }
    const text = encodeListing(await this.#timed(repository, name, listed, reply, row?.blob))
    const blob = await this.#store(text)
    listings.know(name, blob, text)
    if (blob.digest !== row?.blob.digest) await this.#commit(repository, { kind: 'listing', package: name, blob })
    await documents.put(repository.scope, name, { ...validators(repository, reply), urls: elsewhere(urls, base) })
    return { known: true, stale: false, ageSeconds: 0 }
  }

  async fetch(repository: RepositoryRecord, wanted: Wanted): Promise<Arrival | undefined> {
    const { maxFileBytes } = this.#parts
    const found = wanted.held ? await this.#again(repository, wanted) : await this.#first(repository, wanted)
    if (!found) return undefined
    const { reply, owner } = found
    if (GONE.has(reply.status) || reply.status === 304) {
      reply.cancel()
      return undefined
    }
    refuseUnlessFound(reply)
    const size = lengthOf(reply)
    const refusal = refusalOf(reply, wanted.path, size, maxFileBytes)
    if (refusal) {
      reply.cancel()
      throw refusal
    }
    return new Arrival({
      size,
      body: reply.body,
      take: (body) => this.#take(repository, { ...wanted, ...owner }, reply, body),
      open: (file) => this.#parts.blobs.open(file, repository.scope),
    })
  }

  async #again(repository: RepositoryRecord, { path, package: name, owner }: Wanted): Promise<Found | undefined> {
    const before = await this.#document(repository, path)
    const url = urlAt(this.#base(repository), path, before)
    const reply = await this.#get(repository, name, url, { ...AS_IT_IS, ...conditions(before) })
    const owned = await owner()
    return owned && { reply, owner: owned }
  }

  /** Where nobody has asked about the package yet, the file is asked for at once with its document, where it most likely lies. */
  async #first(repository: RepositoryRecord, { path, package: name, owner }: Wanted): Promise<Found | undefined> {
    const { scope } = repository
    const { listing, lookup } = this.#format(repository).upstream ?? {}
    const listed = listing !== undefined && lookup === undefined
    const subject = listing?.packageOf(path) ?? name
    const base = this.#base(repository)
    const owning = owner()
    owning.catch(() => undefined)
    const likely = urlAt(base, path)
    const guessing = listed && !this.#elsewhere.has(scope) && !(await this.#document(repository, name))
    const guessed = guessing ? this.#get(repository, subject, likely, AS_IT_IS, true).catch(() => undefined) : undefined
    let used = false
    try {
      const owned = await owning
      if (!owned) return undefined
      const url = urlAt(base, path, listed ? await this.#document(repository, name) : undefined)
      if (url.href !== likely.href) this.#elsewhere.add(scope)
      const reply = url.href === likely.href ? await guessed : undefined
      used = reply !== undefined
      return { reply: reply ?? (await this.#get(repository, subject, url, AS_IT_IS)), owner: owned }
    } finally {
      if (!used) void guessed?.then((reply) => reply?.cancel())
    }
  }

  async #take(
    repository: RepositoryRecord,
    wanted: Taken,
    reply: UpstreamReply,
    body: AsyncIterable<Uint8Array>,
  ): Promise<FileRecord> {
    const { blobs, metadata, documents, maxFileBytes } = this.#parts
    const format = this.#format(repository)
    const { path } = wanted
    const promised = { ...promisedBy(reply.headers), ...wanted.promised }
    const beside = Object.keys(promised).length === 0 ? this.#beside(repository, format, wanted) : undefined
    const checking = checked(body, { path, size: lengthOf(reply), promised, beside })
    const stored = await blobs
      .write(checking, { hashes: format.hashes, limit: maxFileBytes })
      .catch((error: unknown) => {
        if (!(error instanceof RegistryError && error.kind === 'too_large')) throw error
        throw nonsense(reply.url, `a file of more than ${maxFileBytes} bytes`)
      })
    const held = wanted.held ?? (await metadata.file(repository.scope, path))
    if (held?.digest !== stored.digest) await this.#record(repository, wanted, stored, format)
    if (isMutable(repository, format, path))
      await documents.put(repository.scope, path, { ...validators(repository, reply), urls: {} })
    const file = await metadata.file(repository.scope, path)
    if (file?.digest === stored.digest) return file
    throw new RegistryError('conflict', `${path} is held here with other bytes`)
  }

  /** Asked for while the file itself is on its way. */
  #beside(repository: RepositoryRecord, format: Format, { path, package: name }: Wanted): Beside | undefined {
    const sum = format.upstream?.sumBeside?.(path)
    if (!sum) return undefined
    const document = this.#readAside(repository, name, new URL(encoded(sum.path), this.#base(repository))).catch(
      noAnswer,
    )
    // Whoever reads the file hears of it at its end.
    document.catch(() => undefined)
    return { hash: sum.hash, document }
  }

  async #record(repository: RepositoryRecord, wanted: Taken, stored: Stored, format: Format): Promise<void> {
    const { metadata, now } = this.#parts
    const { path, package: name, version } = wanted
    const file = { path, ...stored }
    const step: Step = format.upstream?.listing
      ? { kind: 'hold', package: name, version, file }
      : { kind: 'publish', manifest: { package: name, version, files: [file], meta: '', publishedAt: now() } }
    try {
      await this.#commit(repository, step, isMutable(repository, format, path))
    } catch (error) {
      // Somebody may have brought the same bytes a moment ago.
      const there = error instanceof RegistryError && error.kind === 'conflict'
      if (!there || (await metadata.file(repository.scope, path))?.digest !== stored.digest) throw error
    }
  }

  async #commit({ scope }: RepositoryRecord, step: Step, redeploy = false): Promise<void> {
    await this.#parts.ledger.commit({ scope, steps: [step], by: BY, ...(redeploy ? { redeploy } : {}) })
  }

  /** A version that the upstream tells no time of: the one that it had before; else now, or when its document was last changed. */
  async #timed(
    { scope }: RepositoryRecord,
    name: string,
    listed: Listed,
    { headers }: UpstreamReply,
    before: Stored | undefined,
  ): Promise<Listed> {
    if (listed.versions.every(({ publishedAt }) => publishedAt !== '')) return listed
    const { blobs, listings, now } = this.#parts
    const known = before && (await listings.read(name, before, () => blobs.open(before, scope)))
    const changed = Date.parse(headers.get('last-modified') ?? '')
    const seen = new Date(Math.min(Date.parse(now()), Number.isNaN(changed) ? Number.POSITIVE_INFINITY : changed))
    const timeOf = (version: string) => known?.versions.get(version)?.publishedAt ?? seen.toISOString()
    const versions = listed.versions.map((offer) =>
      offer.publishedAt === '' ? { ...offer, publishedAt: timeOf(offer.version) } : offer,
    )
    return { ...listed, versions }
  }

  #lookUp(repository: RepositoryRecord, name: string, reference: string): Promise<OriginCheck> {
    const { maxDocumentBytes = MAX_DOCUMENT_BYTES } = this.#parts
    const { lookup } = this.#format(repository).upstream ?? {}
    if (!lookup) return Promise.resolve({ known: false, stale: false })
    const base = this.#base(repository)
    return lookUp(
      {
        repository,
        lookup,
        name,
        reference,
        get: (path, headers) => this.#get(repository, name, new URL(path, base), headers),
        asking: (reply, headers) => this.#asking(repository, name, reply, headers),
      },
      { ...this.#parts, maxDocumentBytes, by: BY },
    )
  }

  #asking(
    repository: RepositoryRecord,
    name: string,
    reply: UpstreamReply,
    headers: Record<string, string> | undefined,
  ): Asking {
    const base = this.#base(repository)
    return {
      base: base.href,
      url: reply.url.href,
      read: (path, maxAgeSeconds) => this.#aside(repository, name, new URL(path, base), maxAgeSeconds * 1000),
      headers: reply.headers,
      rest: () => this.#rest(repository, name, reply, headers),
    }
  }

  async *#rest(
    repository: RepositoryRecord,
    name: string,
    first: UpstreamReply,
    headers: Record<string, string> | undefined,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { maxDocumentBytes = MAX_DOCUMENT_BYTES } = this.#parts
    let room = maxDocumentBytes
    let next = nextOf(first)
    for (let pages = 1; next; pages++) {
      if (pages === MAX_PAGES) throw nonsense(first.url, `a document of more than ${MAX_PAGES} pages`)
      const reply = await this.#get(repository, name, next, { 'accept-encoding': 'gzip', ...headers })
      refuseUnlessFound(reply)
      const page = await readDocument(reply, room)
      room -= page.length
      yield page
      next = nextOf(reply)
    }
  }

  /** What is read beside listings: a few small documents that many listings need, so they are remembered. */
  async #aside(
    repository: RepositoryRecord,
    name: string,
    url: URL,
    maxAgeMs: number,
  ): Promise<Uint8Array | undefined> {
    const key = `${repository.scope}\0${url.href}`
    const nowMs = Date.parse(this.#parts.now())
    const kept = this.#asides.get(key)
    if (kept && nowMs - kept.atMs < maxAgeMs) return kept.document
    const document = this.#readAside(repository, name, url)
    this.#asides.set(key, { atMs: nowMs, document })
    document.catch(() => this.#asides.delete(key))
    return document
  }

  async #readAside(repository: RepositoryRecord, name: string, url: URL): Promise<Uint8Array | undefined> {
    const reply = await this.#get(repository, name, url, { 'accept-encoding': 'gzip' })
    if (GONE.has(reply.status)) {
      reply.cancel()
      return undefined
    }
    refuseUnlessFound(reply)
    return readDocument(reply, MAX_ASIDE_BYTES)
  }

  #store(text: string): Promise<Stored> {
    const bytes = Buffer.from(text)
    return this.#parts.blobs.write(once(bytes), { limit: bytes.length })
  }

  /** What lies below the upstream's address is asked of its mirrors, in order, while it cannot be asked itself. */
  async #get(
    repository: RepositoryRecord,
    subject: string,
    url: URL,
    headers: Record<string, string>,
    spare = false,
  ): Promise<UpstreamReply> {
    const { href } = this.#base(repository)
    const mirrors = url.href.startsWith(href) && !spare ? (repository.mirrors ?? []) : []
    const others = mirrors.map((mirror) => new URL(this.#below(repository, mirror).href + url.href.slice(href.length)))
    let away: unknown
    for (const one of [url, ...others]) {
      try {
        return await this.#getAt(repository, subject, one, headers, spare)
      } catch (error) {
        if (!(error instanceof RegistryError && error.kind === 'unavailable')) throw error
        away ??= error
      }
    }
    throw away
  }

  /** The credentials are for the upstream's own host; files that lie elsewhere are fetched without. */
  async #getAt(
    { scope }: RepositoryRecord,
    subject: string,
    url: URL,
    headers: Record<string, string>,
    spare: boolean,
  ): Promise<UpstreamReply> {
    const { credentials } = this.#parts
    const authorization = await credentials.authorization(scope, url.origin)
    const own = await credentials.headers(scope, url.origin)
    return this.#tokens.get(url, { scope, subject, headers, authorization, own, spare })
  }

  #base(repository: RepositoryRecord): URL {
    const { upstream = '', key } = repository
    if (!URL.canParse(upstream)) throw new RegistryError('unavailable', `${key} has no upstream`)
    return this.#below(repository, upstream)
  }

  /**
   * With a slash at the end, so that what is below it is resolved below it; and with the segment that all addresses of the format have,
   * where the administrator left it out.
   */
  #below(repository: RepositoryRecord, address: string): URL {
    const url = new URL(address)
    if (!url.pathname.endsWith('/')) url.pathname += '/'
    const { root } = this.#format(repository)
    if (root !== undefined && !url.pathname.split('/').includes(root)) url.pathname += `${root}/`
    return url
  }

  async #document(repository: RepositoryRecord, name: string): Promise<UpstreamDocument | undefined> {
    const document = await this.#parts.documents.get(repository.scope, name)
    return document?.upstream === repository.upstream ? document : undefined
  }

  #format({ format, key }: RepositoryRecord): Format {
    const found = this.#parts.formats.find(({ name }) => name === format)
    if (!found) throw new RegistryError('missing', `There is no format ${format} for ${key}`)
    return found
  }
}

function urlAt(base: URL, path: string, document?: UpstreamDocument): URL {
  const own = document?.urls[path]
  return own !== undefined && URL.canParse(own, base.href) ? new URL(own, base) : new URL(encoded(path), base)
}

function elsewhere(urls: ReadonlyMap<string, string> | undefined, base: URL): Record<string, string> {
  const found = [...(urls ?? [])].filter(
    ([path, url]) => URL.canParse(url, base.href) && new URL(url, base).href !== new URL(encoded(path), base).href,
  )
  return Object.fromEntries(found)
}

/** What stands in a path by itself stays as it is, since upstreams know it so. './' keeps a colon from making a scheme. */
function encoded(path: string): string {
  return `./${path
    .split('/')
    .map((segment) => encodeURI(segment).replace(/[?#]/g, encodeURIComponent))
    .join('/')}`
}

function refusalOf(
  { url, headers }: UpstreamReply,
  path: string,
  size: number | undefined,
  most: number,
): RegistryError | undefined {
  if ((headers.get('content-encoding') ?? 'identity') !== 'identity')
    return nonsense(url, 'an encoding that was not asked for')
  if (size !== undefined && size > most) return nonsense(url, `a file of more than ${most} bytes`)
  // A page that says "we are down for maintenance" with a 200.
  const isPage = /^text\/html\b/i.test(headers.get('content-type') ?? '') && !contentTypeOf(path).includes('html')
  return isPage ? nonsense(url, `a page instead of ${path}`) : undefined
}

/** A refusal or nonsense promises nothing. */
function noAnswer(error: unknown): undefined {
  if (!(error instanceof RegistryError && error.kind === 'upstream')) throw error
}
