/**
 * Every setting, once. The key names it in the configuration file (`cacheBytes`), on the command line (`--cache-bytes`) and in
 * the environment (`CAIRN_CACHE_BYTES`); nothing else in the program reads the environment for settings.
 */
import {
  bandwidth,
  bytes,
  databaseUrl,
  days,
  demand,
  file,
  flag,
  fleetHost,
  folder,
  host,
  ipv4,
  type Kind,
  level,
  networks,
  noProxy,
  origins,
  password,
  port,
  positive,
  proxy,
  rate,
  seconds,
  syslog,
  text,
  upstreams,
} from './kinds.js'

export type Part = 'up' | 'primary' | 'node' | 'client'

export interface Setting<T> {
  kind: Kind<T>
  /** Who reads it. */
  parts: readonly Part[]
  help: string
  secret: boolean
  /** Variables of other programs that say the same, asked after everything else; the first that can be used. */
  also: readonly string[]
  /** As it would be typed. undefined: unset. */
  fallback: Partial<Record<Part, string>>
  /** What happens when it is unset, in words. */
  unset: string
}

interface Draft<T> {
  kind: Kind<T>
  parts: readonly Part[]
  help: string
  secret?: true
  also?: readonly string[]
}

const SERVERS: readonly Part[] = ['up', 'primary', 'node']
const PRIMARY: readonly Part[] = ['up', 'primary']

export const SETTINGS = {
  data: setting(
    { kind: folder, parts: SERVERS, help: 'Directory for everything that is written' },
    {
      up: './data',
      primary: './data/primary',
      node: './data/node-1',
    },
  ),
  host: setting({ kind: host, parts: SERVERS, help: 'Address that HTTP listens on' }, '127.0.0.1'),
  port: setting(
    {
      kind: port,
      parts: SERVERS,
      help: 'Port that HTTP listens on; with `up` the primary’s, and node i takes port + i',
    },
    {
      up: '8080',
      primary: '8080',
      node: '8081',
    },
  ),
  publicUrls: setting(
    {
      kind: origins,
      parts: SERVERS,
      help: 'URLs under which clients reach it, for absolute URLs in replies; the one that matches the Host of a request, else the first',
    },
    '',
  ),
  trustedProxies: setting({ kind: networks, parts: SERVERS, help: 'Proxies whose forwarded headers are believed' }, ''),
  tlsCert: optional(
    {
      kind: file,
      parts: ['primary', 'node'],
      help: 'PEM file with the certificate for https; read again when it changes',
    },
    'http',
  ),
  tlsKey: optional({ kind: file, parts: ['primary', 'node'], help: 'PEM file with its key' }, 'http'),
  logLevel: setting(
    { kind: level, parts: SERVERS, help: 'Least level that is logged (JSON lines); debug logs every request' },
    'info',
  ),
  anonymous: setting(
    { kind: flag, parts: SERVERS, help: 'May requests without credentials read public repositories' },
    'yes',
  ),
  secondFactor: setting(
    { kind: demand, parts: PRIMARY, help: 'Who must have a second factor besides the password' },
    'optional',
  ),
  tokenDays: setting(
    { kind: days, parts: PRIMARY, help: 'Days that an API token is valid where nobody says how long' },
    '90',
  ),
  tokenMaxDays: setting(
    { kind: days, parts: PRIMARY, help: 'Most days that an API token may be valid; 0: any, and for ever' },
    '365',
  ),
  passwordList: optional(
    {
      kind: file,
      parts: PRIMARY,
      help: 'File of passwords that nobody may have, one a line, besides the 4,000 most common',
    },
    'none',
  ),
  syslog: optional(
    { kind: syslog, parts: PRIMARY, help: 'Where the audit trail is sent as well (RFC 5424)' },
    'nowhere',
  ),
  breakGlass: optional(
    { kind: text, parts: PRIMARY, help: 'Local administrator for emergencies: each use is an alarm in the log' },
    'none',
  ),
  loginsPerMinute: setting({ kind: rate, parts: SERVERS, help: 'Most log-ins of one address in a minute' }, '300'),
  apiPerMinute: setting(
    { kind: rate, parts: SERVERS, help: 'Most requests of one user or address to REST and pages in a minute' },
    '6000',
  ),
  downloadsPerMinute: setting(
    { kind: rate, parts: SERVERS, help: 'Most requests of one user or address to repositories in a minute' },
    '0',
  ),
  maxUploadBytes: setting({ kind: bytes, parts: SERVERS, help: 'Largest file that is taken' }, '64GiB'),
  reverifySeconds: setting(
    {
      kind: seconds,
      parts: SERVERS,
      help: 'How long bytes that were read and hashed are believed to be unchanged on disk',
    },
    '3600',
  ),
  scrubRate: setting(
    { kind: bytes, parts: SERVERS, help: 'Bytes per second that are read again each day to find rot on disk; 0: none' },
    '16MB',
  ),
  fleetPort: optional({ kind: port, parts: PRIMARY, help: 'TLS port that nodes talk to' }, 'port + 1000'),
  fleetHost: optional({ kind: host, parts: PRIMARY, help: 'Address that the TLS port listens on' }, 'as host'),
  fleetUrl: optional(
    { kind: fleetHost, parts: PRIMARY, help: 'Where nodes reach the TLS port, as join tokens name it' },
    'fleet host, or the name of this machine',
  ),
  databaseUrl: optional(
    { kind: databaseUrl, parts: PRIMARY, secret: true, help: 'Your own Postgres' },
    'an embedded Postgres below data',
  ),
  adminPassword: optional(
    { kind: password, parts: PRIMARY, secret: true, help: 'First password of the user admin' },
    'generated and shown once',
  ),
  restoreDays: setting({ kind: days, parts: PRIMARY, help: 'Days in which something removed can be restored' }, '30'),
  upstreamAllow: setting(
    {
      kind: upstreams,
      parts: PRIMARY,
      help: 'Address ranges and hosts that upstreams may have besides public addresses',
    },
    '',
  ),
  remoteCacheBytes: optional(
    { kind: bytes, parts: PRIMARY, help: 'Disk space at the primary for bytes of remote repositories' },
    'all are kept',
  ),
  upstreamProxy: optional(
    {
      kind: proxy,
      parts: PRIMARY,
      secret: true,
      also: ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'],
      help: 'Proxy that upstreams are reached through',
    },
    'HTTPS_PROXY or HTTP_PROXY, else none',
  ),
  upstreamNoProxy: setting(
    {
      kind: noProxy,
      parts: PRIMARY,
      also: ['NO_PROXY', 'no_proxy'],
      help: 'Hosts (and all below them) and address ranges that are reached without the proxy',
    },
    '',
  ),
  upstreamCa: optional(
    { kind: folder, parts: PRIMARY, help: 'PEM file of authorities that upstreams may be signed by, too' },
    'the built-in authorities alone',
  ),
  upstreamConnectSeconds: setting(
    { kind: positive, parts: PRIMARY, help: 'How long a connection to an upstream may take' },
    '10',
  ),
  upstreamFirstByteSeconds: setting(
    { kind: positive, parts: PRIMARY, help: 'How long an upstream may take until it begins to answer' },
    '20',
  ),
  upstreamIdleSeconds: setting(
    { kind: positive, parts: PRIMARY, help: 'How long an upstream may be silent within an answer' },
    '30',
  ),
  upstreamRequestsPerSecond: optional(
    { kind: positive, parts: PRIMARY, help: 'Most requests that one upstream host is asked in a second' },
    'no limit but 32 at a time',
  ),
  join: optional(
    { kind: text, parts: ['node'], secret: true, help: 'Join token, needed at the first start only' },
    'the identity in data',
  ),
  name: optional({ kind: text, parts: ['node'], help: 'Name of the node' }, 'as its join token says'),
  cacheBytes: setting({ kind: bytes, parts: ['up', 'node'], help: 'Disk space for cached blobs' }, '10GiB'),
  meshHost: optional({ kind: ipv4, parts: ['up', 'node'], help: 'Address that the mesh listens on' }, 'as host'),
  meshPort: setting({ kind: port, parts: ['node'], help: 'Port that the mesh listens on' }, '0'),
  bulkPort: setting(
    { kind: port, parts: ['node'], help: 'Port that other nodes fetch bytes from (TLS); beside the mesh’s own' },
    '0',
  ),
  site: optional(
    {
      kind: text,
      parts: ['node'],
      help: 'Where the node stands; nodes of one site share bytes before they ask others',
    },
    'nodes within 5 ms are near',
  ),
  uploadRate: optional({ kind: bandwidth, parts: ['node'], help: 'Limit of what peers are sent' }, 'no limit'),
  downloadRate: optional(
    { kind: bandwidth, parts: ['node'], help: 'Limit of what is fetched from peers and the primary' },
    'no limit',
  ),
  linkRate: optional({ kind: bandwidth, parts: ['node'], help: 'Limit of each peer by itself, each way' }, 'no limit'),
  mdns: optional(
    { kind: flag, parts: ['up', 'node'], help: 'Find peers on the local network by multicast DNS' },
    'yes, unless the mesh listens on this machine only',
  ),
  url: setting(
    { kind: origins, parts: ['client'], help: 'Registry that the client commands talk to' },
    'http://127.0.0.1:8080',
  ),
  token: optional(
    { kind: text, parts: ['client'], secret: true, help: 'API token of the client commands' },
    'as stored by `cairn login`',
  ),
} as const

export type Key = keyof typeof SETTINGS
export type ValueOf<S> = S extends Setting<infer T> ? T : never
export type Values = { [K in Key]: ValueOf<(typeof SETTINGS)[K]> }

export const KEYS = Object.keys(SETTINGS) as Key[]

/** `cacheBytes` is CAIRN_CACHE_BYTES. */
export function variableOf(key: string): string {
  return `CAIRN_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** `cacheBytes` is --cache-bytes. */
export function optionOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

function setting<T>(draft: Draft<T>, fallback: string | Partial<Record<Part, string>>): Setting<T> {
  const byPart =
    typeof fallback === 'string' ? Object.fromEntries(draft.parts.map((part) => [part, fallback])) : fallback
  return { ...draft, secret: draft.secret ?? false, also: draft.also ?? [], fallback: byPart, unset: '' }
}

function optional<T>(draft: Draft<T>, unset: string): Setting<T | undefined> {
  return { ...draft, secret: draft.secret ?? false, also: draft.also ?? [], fallback: {}, unset }
}
