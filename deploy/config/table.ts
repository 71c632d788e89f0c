/**
 * Every setting, once. The key names it in the configuration file (`cacheBytes`), on the command line (`--cache-bytes`) and in
 * the environment (`CAIRN_CACHE_BYTES`); nothing else in the program reads the environment for settings.
 */
import {
  bytes,
  databaseUrl,
  days,
  file,
  flag,
  fleetHost,
  folder,
  host,
  ipv4,
  type Kind,
  level,
  networks,
  origins,
  password,
  port,
  seconds,
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
}

const SERVERS: readonly Part[] = ['up', 'primary', 'node']

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
  maxUploadBytes: setting({ kind: bytes, parts: SERVERS, help: 'Largest file that is taken' }, '64GiB'),
  reverifySeconds: setting(
    {
      kind: seconds,
      parts: SERVERS,
      help: 'How long bytes that were read and hashed are believed to be unchanged on disk',
    },
    '3600',
  ),
  fleetPort: optional({ kind: port, parts: ['up', 'primary'], help: 'TLS port that nodes talk to' }, 'port + 1000'),
  fleetHost: optional(
    { kind: host, parts: ['up', 'primary'], help: 'Address that the TLS port listens on' },
    'as host',
  ),
  fleetUrl: optional(
    { kind: fleetHost, parts: ['up', 'primary'], help: 'Where nodes reach the TLS port, as join tokens name it' },
    'fleet host, or the name of this machine',
  ),
  databaseUrl: optional(
    { kind: databaseUrl, parts: ['up', 'primary'], secret: true, help: 'Your own Postgres' },
    'an embedded Postgres below data',
  ),
  adminPassword: optional(
    { kind: password, parts: ['up', 'primary'], secret: true, help: 'First password of the user admin' },
    'generated and shown once',
  ),
  restoreDays: setting(
    { kind: days, parts: ['up', 'primary'], help: 'Days in which something removed can be restored' },
    '30',
  ),
  upstreamAllow: setting(
    {
      kind: upstreams,
      parts: ['up', 'primary'],
      help: 'Address ranges and hosts that upstreams may have besides public addresses',
    },
    '',
  ),
  join: optional(
    { kind: text, parts: ['node'], secret: true, help: 'Join token, needed at the first start only' },
    'the identity in data',
  ),
  name: optional({ kind: text, parts: ['node'], help: 'Name of the node' }, 'as its join token says'),
  cacheBytes: setting({ kind: bytes, parts: ['up', 'node'], help: 'Disk space for cached blobs' }, '10GiB'),
  meshHost: optional({ kind: ipv4, parts: ['up', 'node'], help: 'Address that the mesh listens on' }, 'as host'),
  meshPort: setting({ kind: port, parts: ['node'], help: 'Port that the mesh listens on' }, '0'),
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
  return { ...draft, secret: draft.secret ?? false, fallback: byPart, unset: '' }
}

function optional<T>(draft: Draft<T>, unset: string): Setting<T | undefined> {
  return { ...draft, secret: draft.secret ?? false, fallback: {}, unset }
}
