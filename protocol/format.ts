/**
 * A format is a value: a name, routes, and a few optional functions. One file in formats/ and one line in its list add an
 * ecosystem. Paths are relative to the repository, begin with '/', are percent-decoded once and hold no '.', '..', empty
 * or NUL segment (http/path.ts refuses those before any route is looked at).
 */

import type { RegistryError } from './errors.js'
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import type { Listed } from './kinds/listing.js'
import type { Lock } from './lock.js'
import type { Accounts, Owner, Principal } from './ports.js'
import type { Action, Digest, FileRecord, HashName, Held, Promised, Step } from './records.js'
import type { Repository, Writable } from './repository.js'
import type { RootRoute } from './root.js'

type Name<S extends string> = S extends `${infer N}*` ? N : S
/** The parameters of a pattern such as '/:package/-/:file' or '/:path*' (the star: any number of segments). */
export type Params<P extends string> = P extends `${string}:${infer R}`
  ? R extends `${infer N}/${infer Rest}`
    ? { [K in Name<N>]: string } & Params<`/${Rest}`>
    : { [K in Name<R>]: string }
  : unknown

export interface Call<P = Record<string, string>> {
  readonly params: P
  readonly request: HttpRequest
  readonly repository: Repository
  readonly principal: Principal
  readonly accounts: Accounts
  /** Absolute URL of the repository as this client reaches it, no slash at the end. Never taken from an unchecked Host. */
  readonly base: string
  /** The repository's writable target, or a `RegistryError` that says why there is none. */
  target(): Writable
  /**
   * A rendered index: kept by (repository, variant, stamp of `name`), ETag from the stamp, compressed where the client takes
   * it. `render` runs only when nothing is kept; it returns undefined for "no such package". `reference`: the only one of the
   * package's that it shows.
   */
  index(name: string, variant: string, render: () => Promise<Rendered | undefined>, reference?: string): Promise<Reply>
  /** The reply for a recorded file: length, ETag, Last-Modified, digest headers, immutable caching, ranges. */
  file(file: FileRecord, headers?: Record<string, string>): Promise<Reply>
  /** The reply for a path: a recorded file, or one that is still on its way from an upstream. undefined: there is none. */
  send(path: string, headers?: (file: FileRecord) => Record<string, string>): Promise<Reply | undefined>
  /** Does the gate allow the principal this action here. Reads of a read route and writes of a write route were asked already. */
  may(action: Action, path?: string): boolean
  /** What all names and paths begin with one of that the principal may read: [''] is any, [] is none. Sorted, none within another. */
  reach(): readonly string[]
  /** Asks the gate as a route does, and throws what the principal is to be told. For routes whose body names their object. */
  demand(action: Action, path: string): void
  /** Another repository of this format, when the principal may read `path` there. */
  elsewhere(key: string, path: string): Repository | undefined
  /** Bytes of this digest in any repository of this format where the principal may read them. Only asked by write routes. */
  copyOf(digest: Digest): Promise<Held | undefined>
}

export interface Rendered {
  contentType: string
  /** In memory when small; parts are streamed and not kept when they exceed the cache's limit for one entry. */
  body: string | Uint8Array | AsyncIterable<string | Uint8Array>
  /** ISO 8601, becomes Last-Modified. */
  modified: string
  headers?: Record<string, string>
}

export interface Route {
  readonly method: string
  readonly pattern: string
  readonly action: Action
  /** Does it change anything. A node forwards it to the primary. */
  readonly writes: boolean
  readonly params: Readonly<Record<string, RegExp>>
  /** What the gate is asked about; default the path. For routes that name an object somewhere else than it lies. */
  readonly subject?: ((params: Record<string, string>) => string) | undefined
  /**
   * Answered without asking the gate. `login`: it makes somebody known. `body`: to whoever sees the repository; the handler asks the
   * gate itself (`call.demand`) as soon as the body has named the object.
   */
  readonly open?: 'login' | 'body' | undefined
  /** A list that asks the gate about each of its entries (`call.may`): for whoever may read anything here at all. */
  readonly lists?: boolean | undefined
  handle(call: Call): Promise<Reply>
}

export interface RouteOptions {
  /** Defaults: read for `read`, write for `write`. */
  action?: Action
  /** A grammar for a parameter, unanchored; default one segment, `[^/]+`. */
  params?: Record<string, RegExp>
  subject?: (params: Record<string, string>) => string
  open?: 'login' | 'body'
  lists?: boolean
}

/** GET and HEAD. */
export function read<P extends string>(
  pattern: P,
  handle: (call: Call<Params<P>>) => Promise<Reply>,
  options: RouteOptions = {},
): Route {
  return {
    action: 'read',
    params: {},
    ...options,
    method: 'GET',
    pattern,
    writes: false,
    handle: handle as Route['handle'],
  }
}

/** A route that changes something, or that only the primary can answer. */
export function write<P extends string>(
  method: 'PUT' | 'POST' | 'PATCH' | 'DELETE' | 'GET',
  pattern: P,
  handle: (call: Call<Params<P>>) => Promise<Reply>,
  options: RouteOptions = {},
): Route {
  return { action: 'write', params: {}, ...options, method, pattern, writes: true, handle: handle as Route['handle'] }
}

/** How an ecosystem's registries are read as upstreams. */
export interface Upstream {
  /** For ecosystems that list versions by package. Without it every path is asked for as it is, and is a package of its own. */
  listing?: {
    /** Where the upstream has its document about a package. */
    ask(name: string, upstream: URL): Question | undefined
    /**
     * Throws `upstream` or `invalid` for a document that is none. A version that the upstream tells no time of has an empty
     * `publishedAt`: it gets the time when it was first seen here. `urls`: where files lie, as the document says, by path.
     */
    parse(name: string, document: Uint8Array, upstream: Asking): MaybePromise<Offering>
    /** The package whose file a path would be. */
    packageOf(path: string): string | undefined
    /** The version of a file of a kind that no listing names: it is asked for without looking there. Default: there are none. */
    unlisted?(path: string): string | undefined
  }
  /**
   * For ecosystems that are asked for one reference of a package at a time. What is found is published here and read like what
   * was published here at first; a listing, if there is one, tells tags only.
   */
  lookup?: Lookup
  /** May the bytes under a path change at the upstream. Default: never. */
  mutable?(path: string): boolean
  /** Where the upstream has a file's hash as text, for replies that say none in their headers. Default: nowhere. */
  sumBeside?(path: string): { path: string; hash: keyof Promised } | undefined
}

/** A document of an upstream, below its address (percent-encoded, no slash in front). */
export interface Question {
  path: string
  headers?: Record<string, string>
}

/** A reference is a version, or a tag. A version stays as it is, unless its path is `mutable`. */
export interface Lookup {
  /** Where the document behind a reference may be: the first that is there is taken. */
  ask(name: string, reference: string): Question[]
  /** Throws `upstream` or `invalid` for a document that is none. */
  parse(asked: { name: string; reference: string }, document: Uint8Array, upstream: Asking): MaybePromise<Found>
  /** The reference whose document lies under a path. */
  referenceOf(path: string): { name: string; reference: string } | undefined
  /** To which version a file belongs that no lookup brings. */
  fileOf(path: string): ({ package: string } & Owner) | undefined
}

/** A version of one file. */
export interface Found {
  version: string
  path: string
  bytes: Uint8Array
  meta: string
  /** Names it now. */
  tag?: string
}

export type Offering = Listed & { urls?: ReadonlyMap<string, string> }

type MaybePromise<T> = T | Promise<T>

/** The upstream that a document came from. */
export interface Asking {
  /** Its address, with a slash at the end. */
  readonly base: string
  /** The document's own, after all redirects. */
  readonly url: string
  /** Another, small document there; undefined: there is none. A copy younger than `maxAgeSeconds` will do. */
  read(path: string, maxAgeSeconds: number): Promise<Uint8Array | undefined>
  /** Of the reply that brought the document; names in lowercase. */
  readonly headers: ReadonlyMap<string, string>
  /** The pages that follow the document (Link with rel="next", RFC 8288). */
  rest(): AsyncIterable<Uint8Array>
}

/** A choice that administrators have for a local repository of a format; what was not chosen is not in its record. */
export interface Setting {
  /** One sentence, for OpenAPI. */
  description: string
  /** The texts that there are, or whole numbers. */
  values: readonly string[] | { from: number; to: number }
}

/** An ecosystem's names and versions. */
export interface Grammar {
  /**
   * The one spelling, where several are one package, of a name or of a glob over names: packages that are published here are recorded
   * under it. What an upstream offers keeps the upstream's. Default: as it is.
   */
  name?(text: string): string
  /** What the paths of a package begin with: the gate is asked about paths. Default: its name. */
  path?(name: string): string | undefined
  /** Negative: `a` comes before `b`. Short forms (`1.4`) count. undefined: one of them is no version. Default: there is no order. */
  compare?(a: string, b: string): number | undefined
  /** The tag that clients take for the newest version, and which of some versions that is. */
  readonly newest?: { readonly tag: string; of(versions: Iterable<string>): string | undefined }
  /** What a version's entry tells of its licence. */
  licence?(meta: string): string | undefined
}

/** A repository as a client on this machine reaches it. */
export interface ClientTarget {
  /** No slash at the end. */
  base: string
  key: string
  token: string | undefined
  /** A folder for files that the variables name. */
  folder: string
}

export interface ClientEnvironment {
  variables: Record<string, string>
  /** Text by name, to be written into the folder. */
  files?: Record<string, string>
}

export interface Format {
  readonly name: string
  /** Tried in order. A GET that none matches is a file of the repository. */
  readonly routes: readonly Route[]
  /** A first segment of paths that clients cannot do without: /{root}/{key}/… is /repository/{key}/{root}/…. */
  readonly root?: string
  /** What is answered without a repository: below `root`, or where this ecosystem's clients look whatever the registry's path. */
  readonly rootRoutes?: readonly RootRoute[]
  /** Hashes computed at acceptance, besides SHA-256. */
  readonly hashes: readonly HashName[]
  /** Content type of a file, by its path. Default by extension. */
  contentType?(path: string): string
  /** Credentials that this ecosystem's clients send in a header or a form of their own, as an Authorization value, which it replaces. */
  credentials?(request: HttpRequest): string | undefined
  /** This ecosystem's own error document. Default: application/problem+json. */
  error?(error: RegistryError, status: number, request: HttpRequest): Reply
  /** What comes back together with the version of a removed file. Default: nothing else. */
  restoredWith?(repository: Repository, file: FileRecord): Promise<Step[]>
  /** A format without it has no remote repositories. */
  readonly upstream?: Upstream
  /** By their names in REST. */
  readonly settings?: Readonly<Record<string, Setting>>
  /** Looks after a local repository from time to time, at the primary, by ordinary changes. */
  upkeep?(repository: Repository, by: Principal): Promise<void>
  readonly grammar?: Grammar
  /** How its lock files are read; a format without it has none. */
  readonly lock?: Lock
  /** How this ecosystem's clients are pointed at a repository without touching their settings. Default: they cannot be. */
  environment?(repository: ClientTarget): ClientEnvironment
  /** Lines that a user pastes to point a client at the repository, for `npm start` and the console. */
  snippet(repository: { base: string; key: string }): string
}

/** What a client says to be known by, as an Authorization value. */
export function credentialsOf(format: Format, request: HttpRequest): string | undefined {
  return format.credentials?.(request) ?? request.headers.get('authorization')
}
