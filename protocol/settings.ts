/**
 * What each main is started with, every value present and already checked. Where values come from (command line,
 * environment, file, default) is deploy/config.ts's business; the mains never read the environment.
 */
import type { RateLimits } from './http/rate-limit.js'
import type { TlsFiles } from './http/tls-files.js'

/** Files in a part's data that `cairn up` reads, too. */
export const LOCAL_TOKEN_FILE = 'local-admin-token'
export const IDENTITY_FILE = 'identity.json'

/** Who must have a second factor besides the password. */
export type SecondFactorDemand = 'optional' | 'administrators' | 'everyone'

/** How long API tokens last. */
export interface TokenLifetime {
  /** Where whoever makes one says nothing; null: for ever. */
  days: number | null
  /** undefined: as long as is asked for, and for ever. */
  mostDays: number | undefined
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

interface PartSettings {
  /** Directory of this part's own data, absolute; exists and belongs to this version when a main is called. */
  data: string
  /** Address that HTTP listens on. */
  host: string
  /** 0 takes a free port. */
  port: number
  /** Scheme and authority, no slash at the end; the first is the default. Empty: the listening address. */
  publicUrls: string[]
  /** Addresses and CIDR ranges whose forwarded headers are believed. */
  trustedProxies: string[]
  /** undefined: http. */
  tls: TlsFiles | undefined
  logLevel: LogLevel
  rates: RateLimits
}

export interface PrimarySettings extends PartSettings {
  /** TLS port that nodes talk to. */
  fleetPort: number
  fleetHost: string
  /** Host (or host:port) that join tokens name; undefined: fleetHost when it is a real address, else this machine's name. */
  fleetUrl: string | undefined
  /** undefined: the embedded Postgres below `data`. */
  databaseUrl: string | undefined
  /** First password of `admin`; undefined: one is generated and shown once. */
  adminPassword: string | undefined
  /** May requests without credentials read public repositories. */
  anonymous: boolean
  secondFactor: SecondFactorDemand
  tokens: TokenLifetime
  /** File of passwords that nobody may have, besides those that are built in. */
  passwordList: string | undefined
  /** Where the audit trail is sent as well: `udp://`, `tcp://` or `tls://` with host and port; undefined: nowhere. */
  syslog: string | undefined
  /** A local account for when nothing else lets anybody in: whoever uses it is heard. */
  breakGlass: string | undefined
  /** Days in which something removed can be restored. */
  restoreDays: number
  /** Seconds for which bytes that were read and hashed are believed to be unchanged; 0: hashed at every read. */
  reverifySeconds: number
  /** Bytes per second of the disk that are read again to find rot; 0: none. */
  scrubRate: number
  /** Bytes. */
  maxUploadBytes: number
  /** Address ranges and hosts that upstreams may have besides public addresses. */
  upstreamAllow: string[]
  upstreams: UpstreamSettings
  /** Bytes of remote repositories that the content store keeps; undefined: all. */
  remoteCacheBytes: number | undefined
}

/** How upstreams are reached. */
export interface UpstreamSettings {
  /** URL, with credentials if it asks for them; undefined: none. */
  proxy: string | undefined
  noProxy: string[]
  /** PEM file of authorities besides those that are built in. */
  ca: string | undefined
  connectSeconds: number
  firstByteSeconds: number
  idleSeconds: number
  /** Of one host; undefined: no limit. */
  requestsPerSecond: number | undefined
}

/** Bytes per second; within a window (UTC, HH:MM, `to` not included, over midnight too) other ones. */
export interface Bandwidth {
  general: number
  windows: { from: string; to: string; bytesPerSecond: number }[]
}

export interface NodeSettings extends PartSettings {
  /** Name that the fleet knows it by; undefined: the one that its join token was made for. */
  name: string | undefined
  /** Needed until the node has an identity in `data`; ignored afterwards. */
  join: string | undefined
  /** Bytes that cached blobs may take on disk. */
  cacheBytes: number
  meshHost: string
  /** 0 takes a free port. */
  meshPort: number
  /** 0 takes a free port. */
  bulkPort: number
  /** Where it stands, as the operator calls it; undefined: what is near is near. */
  site: string | undefined
  /** Of bytes of blobs, to peers; undefined: none. */
  uploadRate: Bandwidth | undefined
  /** From peers and the primary. */
  downloadRate: Bandwidth | undefined
  /** Of each peer by itself, each way. */
  linkRate: Bandwidth | undefined
  /** Find peers on the local network by multicast DNS. */
  mdns: boolean
  anonymous: boolean
  reverifySeconds: number
  /** Bytes per second of the disk that are read again to find rot; 0: none. */
  scrubRate: number
  maxUploadBytes: number
}

/** A part that runs. `close` ends everything that it started, and waits. */
export interface Running {
  /** Where its HTTP is reached, no slash at the end. */
  url: string
  close(): Promise<void>
}
