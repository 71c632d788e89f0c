/**
 * What the two sides must provide. Postgres, LevelDB and memory implement Metadata; disk and memory implement Blobs;
 * the contract suites in test/contracts give these signatures their meaning.
 */
import type { HttpRequest } from './http/request.js'
import type { Arrival } from './kinds/arrival.js'
import type {
  AccessKind,
  AccessRecords,
  Action,
  Digest,
  FileRecord,
  GrantRecord,
  HashName,
  Held,
  Package,
  Position,
  Promised,
  RemovedFile,
  RepositoryRecord,
  Stored,
  Subject,
  TokenRecord,
  UserRecord,
  Version,
} from './records.js'
import type { Freshness } from './repository.js'

/** Pages are in byte order of the name, starting after `after`. */
export interface Page {
  prefix?: string
  after?: string
  limit: number
}

/** Reads of the committed state. Every implementation answers alike for the same applied changes. */
export interface Metadata {
  /** Position of the newest applied change. */
  readonly head: Position
  /** Configuration is small and held in memory, so these do not wait. */
  repository(key: string): RepositoryRecord | undefined
  repositories(): RepositoryRecord[]
  /** The repository whose history a scope is. */
  scope(scope: string): RepositoryRecord | undefined
  access<K extends AccessKind>(kind: K, id: string): AccessRecords[K] | undefined
  accessAll<K extends AccessKind>(kind: K): AccessRecords[K][]
  /** Grants to a subject whose pattern matches a repository's key. */
  grantsTo(subject: Subject, repository: string): readonly GrantRecord[]
  /** Grows whenever a repository or access record changes, but not with a token that is new; caches of decisions compare it. */
  readonly configured: number

  /** Number of the newest change that touched the package, 0 if none. Answers from memory when it can. */
  stamp(scope: string, name: string): number | Promise<number>
  package(scope: string, name: string): Promise<Package | undefined>
  packages(scope: string, page: Page): Promise<Package[]>
  version(scope: string, name: string, version: string): Promise<Version | undefined>
  /** In order of publication. */
  versions(scope: string, name: string): AsyncIterable<Version>
  tags(scope: string, name: string): Promise<Record<string, string>>
  tag(scope: string, name: string, tag: string): Promise<string | undefined>
  /** What the upstream of a remote repository offers under a name. */
  listing(scope: string, name: string): Promise<{ blob: Stored; at: string } | undefined>
  file(scope: string, path: string): Promise<FileRecord | undefined>
  files(scope: string, page: Page): Promise<FileRecord[]>
  /** Log number of the change that recorded the bytes under a path, and of the one that made a repository what it is. */
  recordedBy(scope: string, path: string): Promise<number | undefined>
  configuredBy(scope: string): number | undefined
  /** A file that was removed: its path stays burned, and a `restore` of its version brings it back. */
  removed(scope: string, path: string): Promise<RemovedFile | undefined>
}

/**
 * Bytes that can be read, as often as wanted. A chunk is valid until the next one is asked for (its buffer is used
 * again); whoever keeps a chunk copies it. Reading ends the underlying resources when the iteration ends.
 */
export interface Bytes {
  readonly size: number
  /** Where they come from, for X-Cairn-Source. */
  readonly source: 'cache' | 'peer' | 'primary' | 'upstream'
  /** `start` inclusive, `end` exclusive, both in bytes; the whole when left out. A chunk is good until the next one is asked for. */
  read(range?: { start: number; end: number }, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

export interface WriteOptions {
  /** Hashes to compute besides SHA-256 and the tree root. */
  hashes?: readonly HashName[]
  /** Bytes; more throws `too_large`. */
  limit: number
  signal?: AbortSignal
}

/** An upload in several requests. It goes on after a restart of the process. */
export interface Upload {
  readonly id: string
  /** Bytes accepted so far, durable up to here. */
  readonly offset: number
  append(body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<number>
  /** Makes the bytes a blob. The upload is gone afterwards. */
  commit(options: { hashes?: readonly HashName[] }): Promise<Stored>
  abort(): Promise<void>
}

export interface Blobs {
  /** Throws `corrupt` when bytes do not match their digest and cannot be healed; `unavailable` when nobody reachable has them. */
  open(file: Held | Stored, scope: string): Promise<Bytes>
  has(digest: Digest): Promise<boolean>
  /** Where reading is what keeps bytes: resolves once those that were read to their end are kept, or will not be. */
  settled?(digest: Digest): Promise<void>
  /** Durable when it returns: written beside, hashed in the same pass, synced, renamed, its directory synced. */
  write(body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<Stored>
  begin(id?: string): Promise<Upload>
  resume(id: string): Promise<Upload | undefined>
}

/** A file that is asked of an origin. */
export interface Wanted {
  path: string
  /** The package that it would belong to. */
  package: string
  /** What is said about it where it is listed; undefined: there is no such file. An origin that knows better need not ask. */
  owner: () => Promise<Owner | undefined>
  /** What is held under the path and may be old by now. */
  held: FileRecord | undefined
}

export interface Owner {
  version: string
  /** What the bytes must have. */
  promised: Promised | undefined
}

export interface OriginCheck {
  /** There is such a package, or such a reference of it. */
  known: boolean
  /** The upstream could not be asked. */
  stale: boolean
  /** Since the upstream last said that it is so. */
  ageSeconds?: number
}

/** Where a remote repository gets what it does not hold: an upstream for the primary, the primary for a node. */
export interface Origin {
  /** When it resolves, what there is is recorded here: the newest listing of the package, or what a reference of it leads to. */
  check(repository: RepositoryRecord, name: string, reference?: string): Promise<OriginCheck>
  /**
   * A file on its way here; what it resolves with was recorded first. How old it is: what is held is what the origin has.
   * undefined: there is none. Throws `unavailable` when the origin cannot be asked.
   */
  fetch(repository: RepositoryRecord, wanted: Wanted): Promise<Arrival | Freshness | undefined>
}

/** Who asks. Anonymous is a principal like others. */
export interface Principal {
  /** User name, or 'anonymous', or `node:<id>`. */
  readonly name: string
  readonly user: UserRecord | undefined
  readonly token: TokenRecord | undefined
}

export interface Decision {
  allowed: boolean
  /** One sentence: by which rule. */
  reason: string
  /** It would be allowed, but what is known here is too old for the repository. */
  stale?: true
}

export interface Access {
  readonly anonymous: Principal
  /**
   * The principal behind an Authorization header (or a format's own credential header, already turned into one).
   * Throws `unauthenticated` when credentials are given and are not valid, `unavailable` when only the primary could tell.
   * `remote`: the client's address, so that wrong passwords are throttled per address too.
   */
  authenticate(authorization: string, remote?: string): Principal | Promise<Principal>
  /** The one gate: every route, listing, mount and peer request asks here. Does not wait. */
  decide(principal: Principal, action: Action, repository: RepositoryRecord, path?: string): Decision
}

/** Accounts as formats' own log-in routes need them. Writes happen at the primary only: a node forwards the request. */
export interface Accounts {
  /** Checks a password and returns a new token's text. Throws `unauthenticated`. */
  login(user: string, password: string, tokenName: string): Promise<string>
  createToken(
    principal: Principal,
    draft: { name: string; scopes: string[]; expiresInDays?: number },
  ): Promise<{ value: string; token: TokenRecord }>
  revokeToken(principal: Principal, idOrValue: string): Promise<boolean>
  /**
   * A short-lived token for a user who came with a password, for protocols that exchange one for the other; the same one again
   * while it lasts a while longer, so that asking often costs nothing.
   */
  session(principal: Principal): Promise<{ value: string; expiresInSeconds: number }>
  /**
   * A short-lived token for one that a trusted issuer gave a workload. `seen`: the request that brought it. Throws `unauthenticated`
   * and `forbidden`.
   */
  exchange(
    token: string,
    seen: Pick<HttpRequest, 'origin' | 'remote' | 'id'>,
  ): Promise<{ value: string; expiresInSeconds: number }>
  /** API tokens of the principal's user; never their values. */
  tokens(principal: Principal): TokenRecord[]
}
