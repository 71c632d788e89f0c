/**
 * The records that a primary and its nodes agree on. A version's own entry (`meta`) is kept as the format's JSON text,
 * byte for byte; everything that happens is a Change, and rows are what changes leave behind.
 */

/** Lowercase hexadecimal SHA-256, 64 characters. The name of a blob. */
export type Digest = string & { readonly sha256: unique symbol }

/** Further hashes of a blob, lowercase hexadecimal. A format names the ones it needs at acceptance. */
export interface Hashes {
  md5?: string
  sha1?: string
  sha512?: string
}
export type HashName = keyof Hashes

/** A blob as the content store accepted it, in one pass. */
export interface Stored {
  digest: Digest
  /** Bytes. */
  size: number
  /** Root of the tree over 64 KiB leaves (merkle.ts), lowercase hexadecimal: any aligned piece can be verified alone. */
  root: string
  hashes: Hashes
}

/** A path whose digest is recorded. Where the bytes are is a question for Blobs. */
export interface Held extends Stored {
  path: string
}

/** Hashes that an upstream says a file has, lowercase hexadecimal. */
export type Promised = Hashes & { sha256?: string }

/** A path that an upstream offers and nobody has asked for yet. */
export interface Offered {
  path: string
  offered: true
  promised?: Promised
}

export type File = Held | Offered

/** One version of one package. `version` is '' where the ecosystem has none (generic files). */
export interface Manifest {
  package: string
  version: string
  files: File[]
  /** JSON text: the entry that the ecosystem's own index carries, verbatim. */
  meta: string
  /** ISO 8601, UTC. */
  publishedAt: string
}

export type VersionKey = Pick<Manifest, 'package' | 'version'>

/** A manifest as a store returns it. */
export interface Version extends Manifest {
  /** Log number of the change that published it: the order of versions within a package. */
  first: number
}

/** A package as a whole. */
export interface Package {
  name: string
  /** Log number of the newest change that touched the package in any way. Never decreases. */
  last: number
  /** How many versions can be seen. 0: the name is taken, and nothing is there. */
  versions: number
  /** ISO 8601 of the first publish and of the newest change. */
  created: string
  modified: string
  /** JSON text set by `amend` without a version; '' when never set. */
  meta: string
}

/** A file together with the version that it belongs to. */
export interface FileRecord extends Held {
  package: string
  version: string
  publishedAt: string
}

export interface RemovedFile extends FileRecord {
  /** ISO 8601. */
  removedAt: string
}

export type Settings = Readonly<Record<string, string | number>>

export type RepositoryType = 'local' | 'remote' | 'virtual'

/** A repository's configuration. `scope` names its history: a repository that is deleted and made again is another scope. */
export interface RepositoryRecord {
  scope: string
  key: string
  name: string
  format: string
  type: RepositoryType
  public: boolean
  /** Key of the project that it belongs to. */
  project?: string
  /** May a path be given other bytes. */
  redeploy: boolean
  /** Globs over tags that are set once: they neither move nor go. */
  immutableTags?: string[]
  /** Bytes; undefined: no limit. */
  quota?: number
  upstream?: string
  /** Asked for the same paths, in order, while the upstream cannot be asked. */
  mirrors?: string[]
  /** How long what an upstream lists is served without asking again; undefined: a minute. */
  metadataTtlSeconds?: number
  /** How old a node's knowledge may be for it to give out what is in here; undefined: however old. Not of virtual ones. */
  maxStalenessSeconds?: number
  /** What its format lets an administrator choose, by the format's own names; the format alone knows what they mean. */
  settings?: Settings
  description: string
  /** Keys of a virtual repository's members, first wins. */
  members: string[]
  /** The numbers that `members` was ordered by, beside them; lower first. Only REST shows them. */
  priorities?: number[]
  /** What may be used of it; undefined: everything. */
  rules?: Rules
  createdAt: string
}

/** Names in rules are globs, versions are ranges (rules/range.ts). */
export interface Rules {
  /** How old a version of an upstream must be to be used. */
  cooldownDays: number
  /** `name` or `name@versions`. */
  cooldownExceptions: string[]
  blocked: Block[]
  /** Never looked up at an upstream. */
  reservedNames: string[]
  /** Names of which a virtual repository shows the versions of all its members, whoever publishes them. */
  mergedNames: string[]
}

/** A version that fits everything that is given is not used. */
export interface Block {
  name?: string
  versions?: string
  /** Of any of its files. */
  digest?: Digest
  /** A glob over what its entry tells (rules/licence.ts). */
  licence?: string
  /** Told to whoever asks for it. */
  reason: string
}

/** `admin` includes the others. `audit`: to see configuration and what is known about artifacts, without their bytes. */
export type Action = 'read' | 'write' | 'delete' | 'admin' | 'audit'

export interface UserRecord {
  /** Equal to `name`, so that a name is taken once. */
  id: string
  name: string
  email: string
  admin: boolean
  disabled: boolean
  /** Names. That a group has a record is not needed for somebody to be in it: identity providers name groups, too. */
  groups: string[]
  /** Key of the project that owns it: a service account, which has tokens and no password. */
  project?: string
  createdAt: string
}

/** What is said about a group; who is in it, its members' records say. */
export interface GroupRecord {
  name: string
  description: string
  createdAt: string
}

/** A named set of actions besides the built-in ones (access/roles.ts). */
export interface RoleRecord {
  name: string
  description: string
  actions: Action[]
  createdAt: string
}

/** Repositories that belong together, what its members may do in each, and how much all may hold. */
export interface ProjectRecord {
  key: string
  name: string
  description: string
  members: Membership[]
  /** Bytes of its repositories together; undefined: no limit. */
  quota?: number
  createdAt: string
}

export interface Membership {
  kind: 'user' | 'group'
  name: string
  role: string
}

export interface TokenRecord {
  /** The first 32 characters of `hash`: finding a token by its text is one look-up. */
  id: string
  /** Lowercase hexadecimal SHA-256 of the token's text. */
  hash: string
  name: string
  /** Name of the user it speaks for. */
  user: string
  /** `*`, `action`, `action:pattern` or `action:pattern/path` (access/scope.ts). */
  scopes: string[]
  createdAt: string
  /** ISO 8601; undefined: never. */
  expiresAt?: string
  /** What made it: a log-in, or the exchange of a workload's token; both are short and not listed among a user's tokens. */
  use: 'api' | 'session' | 'exchanged'
}

export interface Subject {
  kind: 'user' | 'group' | 'token'
  name: string
}

/**
 * Lets a user, group or token act on repositories whose key matches `repository` (a glob), on paths that begin with `path` ('' is all,
 * `*` any run of characters); or forbids it. What the user `anonymous` is allowed everybody is. Of tokens only what they are forbidden counts.
 */
export interface GrantRecord {
  id: string
  subject: Subject
  repository: string
  path: string
  /** That are allowed; empty where a role names them, and in a deny: a replica that knew no denies would take it for an allow. */
  actions: Action[]
  role?: string
  /** undefined: allow. */
  effect?: 'deny'
  /** What a deny without a role forbids. */
  denied?: Action[]
}

/** A fleet member. Peers trust the certificate; this record ends that trust when `revoked`. */
export interface NodeRecord {
  id: string
  name: string
  /** libp2p peer id, text form; '' for ephemeral ones. */
  peer: string
  /** Ed25519 public key, base64url of the 32 raw bytes; '' for ephemeral ones. */
  publicKey: string
  /** One join key for many short-lived nodes: each is known by its certificate alone, and none leaves a record. */
  ephemeral?: true
  /** Globs over repository keys that the node may hold. */
  repositories: string[]
  revoked: boolean
  createdAt: string
}

/**
 * Lets one node give names in a repository, cut off or not, and nobody else meanwhile. Until it is closed the names are closed to
 * all others; the node stops at `until` by signed time, less the clock drift that is allowed for.
 */
export interface LeaseRecord {
  id: string
  /** Id of the node. */
  node: string
  /** Of the repository. */
  scope: string
  /** What its packages' names begin with; '' is all. */
  prefixes: string[]
  /** ISO 8601. */
  createdAt: string
  /** ISO 8601; moves to now when an operator ends it. */
  until: string
  /** ISO 8601. The latest end that the node was told: until then it may go on, if it has heard of no other. */
  promised: string
  /** What an operator gave up of what waits at the node. */
  voided?: Voided[]
  /** The node has reported all it took, or an operator gave all of that up. */
  closed?: { at: string; by: string }
}

export interface Voided {
  /** What the names of the packages begin with. */
  prefix: string
  reason: string
  /** ISO 8601. */
  at: string
  by: string
}

/** Public halves of the operator's recovery key (recovery/key.ts), base64url of 32 raw bytes each. */
export interface RecoveryRecord {
  /** Always 'key': there is one. */
  id: 'key'
  /** Ed25519: begins epochs. */
  signing: string
  /** X25519: what only the operator may open is sealed to it. */
  sealing: string
  /** Of the key of before over these two, base64url; undefined for the first one. */
  endorsement?: string
  createdAt: string
}

/** What the primary would lose with its disk and database, sealed to the recovery key (recovery/sealed.ts). */
export interface EscrowRecord {
  /** `keys`, or a kind of parcel and whose it is: `user/alice`. */
  id: string
  /** base64. */
  sealed: string
  /** ISO 8601. */
  at: string
}

export interface AccessRecords {
  user: UserRecord
  token: TokenRecord
  grant: GrantRecord
  node: NodeRecord
  group: GroupRecord
  role: RoleRecord
  project: ProjectRecord
  lease: LeaseRecord
  recovery: RecoveryRecord
  escrow: EscrowRecord
}
export type AccessKind = keyof AccessRecords

/** What happens to a scope, before it has a place in the log. */
export type Step =
  | { kind: 'publish'; manifest: Manifest; tags?: string[] }
  | { kind: 'add'; package: string; version: string; files: File[] }
  /** `version: null` amends the package. */
  | { kind: 'amend'; package: string; version: string | null; meta: string }
  | { kind: 'remove'; package: string; version: string }
  /** Takes one file out of a version that has others; its path stays burned. */
  | { kind: 'withdraw'; package: string; version: string; path: string }
  | { kind: 'restore'; package: string; version: string }
  | { kind: 'tag'; package: string; tag: string; version: string | null }
  | { kind: 'hold'; package: string; version: string; file: Held }
  | { kind: 'listing'; package: string; blob: Stored }
  /** Scope `fleet` only. `record: null` deletes. */
  | { kind: 'repository'; key: string; record: RepositoryRecord | null }
  | { [K in AccessKind]: { kind: 'access'; subject: K; id: string; record: AccessRecords[K] | null } }[AccessKind]

/** Which of the proposals that a node took under a lease something belongs to. Numbers only grow. */
export interface Taken {
  id: string
  number: number
}

/** One step of one scope's history, as hashed into the log. `at`: ISO 8601; `by`: the principal's name. */
export type Change = Step & { scope: string; at: string; by: string; lease?: Taken }

/** The scope of repositories' configuration and of access records. */
export const FLEET = 'fleet'

/** A place in the log: the number of changes up to and including one, in an epoch that only a restored primary advances. */
export interface Position {
  epoch: number
  number: number
}
