/** How a setting's text becomes its value. Each kind says in words what it takes, for messages and for `cairn config`. */

import { isIP, isIPv4 } from 'node:net'
import { resolve } from 'node:path'
import type { Bandwidth, LogLevel, SecondFactorDemand } from '../../protocol/settings.js'

export interface Kind<T> {
  /** As in "must be …". */
  takes: string
  /** undefined: not acceptable. */
  parse(text: string, context: { folder: string }): T | undefined
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kb: 1000,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1000 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1000 ** 3,
  gib: 1024 ** 3,
  t: 1024 ** 4,
  tb: 1000 ** 4,
  tib: 1024 ** 4,
}
const HOST = /^(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/
const TRUE = ['1', 'true', 'yes', 'on']
const FALSE = ['0', 'false', 'no', 'off']
const DEMANDS: readonly SecondFactorDemand[] = ['optional', 'administrators', 'everyone']
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export const text: Kind<string> = { takes: 'some text', parse: (given) => given || undefined }

/** Relative to the working directory, or to the file that it stands in. */
export const folder: Kind<string> = {
  takes: 'a directory',
  parse: (given, context) => (given === '' || given.includes('\0') ? undefined : resolve(context.folder, given)),
}

export const file: Kind<string> = { ...folder, takes: 'a file' }

export const host: Kind<string> = {
  takes: 'an address to listen on, such as 127.0.0.1 or 0.0.0.0',
  parse: (given) =>
    isIP(given) > 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(given) ? given : undefined,
}

export const ipv4: Kind<string> = { takes: 'an IPv4 address', parse: (given) => (isIPv4(given) ? given : undefined) }

export const port: Kind<number> = {
  takes: 'a port from 0 (any free one) to 65535',
  parse: (given) => whole(given, 65_535),
}

export const seconds: Kind<number> = { takes: 'a number of seconds', parse: (given) => whole(given, 10 ** 9) }

export const positive: Kind<number> = {
  takes: 'a whole number of at least 1',
  parse: (given) => whole(given, 10 ** 9) || undefined,
}

export const rate: Kind<number> = {
  takes: 'a number of requests, or 0 for no limit',
  parse: (given) => whole(given, 10 ** 9),
}

export const days: Kind<number> = { takes: 'a number of days', parse: (given) => whole(given, 36_500) }

export const bytes: Kind<number> = {
  takes: 'a size such as 500MB or 10GiB',
  parse: (given) => {
    const [, number = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)$/.exec(given) ?? []
    const factor = UNITS[unit.toLowerCase()]
    const value = number === '' || factor === undefined ? Number.NaN : Math.round(Number(number) * factor)
    return Number.isSafeInteger(value) ? value : undefined
  },
}

export const bandwidth: Kind<Bandwidth> = {
  takes: 'bytes per second, and others by time of day (UTC): 12MB or 12MB,08:00-18:00=2MB',
  parse: (given, context) => {
    const [first = '', ...rest] = given.split(',').map((part) => part.trim())
    const general = bytes.parse(first, context)
    const windows = rest.map((part) => {
      const [, from = '', to = '', size = ''] = /^(\d\d:\d\d)-(\d\d:\d\d)=(.+)$/.exec(part) ?? []
      const bytesPerSecond = bytes.parse(size, context)
      return isTime(from) && isTime(to) && bytesPerSecond ? { from, to, bytesPerSecond } : undefined
    })
    const known = windows.flatMap((window) => window ?? [])
    return general && known.length === windows.length ? { general, windows: known } : undefined
  },
}

function isTime(text: string): boolean {
  return /^([01]\d|2[0-3]):[0-5]\d$/.test(text)
}

export const flag: Kind<boolean> = {
  takes: 'yes or no',
  parse: (given) =>
    TRUE.includes(given.toLowerCase()) ? true : FALSE.includes(given.toLowerCase()) ? false : undefined,
}

export const level: Kind<LogLevel> = {
  takes: `one of ${LEVELS.join(', ')}`,
  parse: (given) => LEVELS.find((name) => name === given.toLowerCase()),
}

export const demand: Kind<SecondFactorDemand> = {
  takes: `one of ${DEMANDS.join(', ')}`,
  parse: (given) => DEMANDS.find((name) => name === given.toLowerCase()),
}

export const syslog: Kind<string> = {
  takes: 'a URL such as udp://host:514, tcp://host:601 or tls://host:6514',
  parse: (given) => {
    const url = URL.canParse(given) ? new URL(given) : undefined
    const bare = url && url.hostname !== '' && url.username === '' && /^\/?$/.test(url.pathname) && url.search === ''
    return bare && /^(udp|tcp|tls):$/.test(url.protocol) ? given : undefined
  },
}

export const databaseUrl: Kind<string> = {
  takes: 'a URL such as postgres://user:password@host:5432/database',
  parse: (given) => (/^(postgres(ql)?|socket):\/?\/?\S+$/.test(given) ? given : undefined),
}

/** Scheme and authority only; a slash at the end is dropped. */
export const origins: Kind<string[]> = {
  takes: 'http or https URLs without a path, separated by commas',
  parse: (given) => list(given, origin),
}

export const networks: Kind<string[]> = {
  takes: 'addresses or ranges such as 10.0.0.0/8, separated by commas',
  parse: (given) => list(given, network),
}

export const upstreams: Kind<string[]> = {
  takes: 'ranges such as 10.0.0.0/8 and hosts such as registry.example or *.example, separated by commas',
  parse: (given) => list(given, (entry) => network(entry) ?? (HOST.test(entry) ? entry.toLowerCase() : undefined)),
}

/** May hold a user and a password: never shown. */
export const proxy: Kind<string> = {
  takes: 'a URL such as http://user:password@proxy.example:3128',
  parse: (given) => {
    const url = URL.canParse(given) ? new URL(given) : undefined
    return url && /^https?:$/.test(url.protocol) && url.hostname !== '' ? url.href : undefined
  },
}

/** What other programs understand and this one does not is no reason to refuse the rest: it never matches. */
export const noProxy: Kind<string[]> = {
  takes: 'hosts and ranges, separated by commas',
  parse: (given) => given.split(/[\s,]+/).filter((entry) => entry !== ''),
}

export const fleetHost: Kind<string> = {
  takes: 'a host name or address, with a port if it differs',
  parse: (given) => (/^(https:\/\/)?[A-Za-z0-9.:[\]-]{1,255}\/?$/.test(given) ? given : undefined),
}

export const password: Kind<string> = {
  takes: 'a password of 8 characters or more',
  parse: (given) => (given.length >= 8 && given.trim() !== '' && !given.includes('\0') ? given : undefined),
}

function whole(given: string, most: number): number | undefined {
  return /^\d{1,10}$/.test(given) && Number(given) <= most ? Number(given) : undefined
}

function list(given: string, parse: (entry: string) => string | undefined): string[] | undefined {
  const entries = given.split(',').map((entry) => entry.trim())
  const parsed = entries.filter((entry) => entry !== '').map(parse)
  const valid = parsed.filter((entry) => entry !== undefined)
  return valid.length === parsed.length ? valid : undefined
}

function origin(entry: string): string | undefined {
  if (!URL.canParse(entry)) return undefined
  const url = new URL(entry)
  const bare = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
  return bare && /^https?:$/.test(url.protocol) ? url.origin : undefined
}

function network(entry: string): string | undefined {
  const [address = '', prefix, rest] = entry.split('/')
  const family = isIP(address)
  if (family === 0 || rest !== undefined) return undefined
  return prefix === undefined || whole(prefix, family === 4 ? 32 : 128) !== undefined ? entry : undefined
}
