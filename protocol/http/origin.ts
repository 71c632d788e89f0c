/**
 * Scheme and authority for the absolute URLs in replies. A Host header only ever chooses between names that the operator
 * configured, or that this process knows to be its own; an unknown one never appears in a reply.
 */
import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { RegistryError } from '../errors.js'
import { normal } from './address.js'

export interface OriginOptions {
  /** `http://host[:port]`, no path. */
  publicUrls: readonly string[]
  scheme: 'http' | 'https'
  /** As listened on. */
  host: string
  port: number
}

/** What a trusted proxy told about the client's own view. */
export interface Seen {
  host: string | undefined
  proto: 'http' | 'https' | undefined
}

export type Origins = (host: string, seen?: Seen) => string

/** Throws `invalid` for a public URL that is not one. */
export function origins(options: OriginOptions): Origins {
  const configured = options.publicUrls.map(parsePublicUrl)
  const [standard] = configured
  if (standard !== undefined) {
    return remembered((host, seen) => (configured.find((url) => isFor(url, seen?.host ?? host)) ?? standard).origin)
  }
  const own = ownNames(options.host)
  const fallback = `${options.scheme}://${bracketed(reachable(options.host))}:${options.port}`
  return remembered((host, seen) => {
    if (seen?.host !== undefined) return proxied(seen, options.scheme) ?? fallback
    const scheme = seen?.proto ?? options.scheme
    const [name, port] = split(host, scheme)
    return port === options.port && own(name) ? `${scheme}://${host.toLowerCase()}` : fallback
  })
}

/** Where others find this process: the first public URL, else the address it listens on, else this machine's name. */
export function advertised({ publicUrls, scheme, host, port }: OriginOptions): string {
  return publicUrls[0] ?? `${scheme}://${bracketed(isWildcard(host) ? hostname() : host)}:${port}`
}

/** Nearly all requests bring one of very few hosts. What a proxy adds is worked out each time. */
function remembered(origins: Origins): Origins {
  const known = new Map<string, string>()
  return (host, seen) => {
    if (seen !== undefined) return origins(host, seen)
    const remembered = known.get(host)
    if (remembered !== undefined) return remembered
    const origin = origins(host)
    // An unknown host may become known, when the machine gets another address.
    if (origin.endsWith(`//${host}`) && known.size < REMEMBERED) known.set(host, origin)
    return origin
  }
}

const REMEMBERED = 64

function parsePublicUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || `${url.origin}/` !== url.href) {
    throw new RegistryError('invalid', `Not a public URL (expected something like https://host.example): ${text}`)
  }
  return url
}

/** URL drops a scheme's own port, clients may send it. */
function isFor(url: URL, host: string): boolean {
  const lower = host.toLowerCase()
  return lower === url.host || (url.port === '' && lower === `${url.host}:${url.protocol === 'https:' ? 443 : 80}`)
}

/** The proxy is trusted, its header is still text from outside. */
function proxied(seen: Seen, scheme: string): string | undefined {
  const text = `${seen.proto ?? scheme}://${seen.host}`
  const url = /^[\w.~:[\]-]+$/.test(seen.host ?? '') && URL.canParse(text) ? new URL(text) : undefined
  return url?.origin
}

function split(host: string, scheme: string): [name: string, port: number] {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(host.toLowerCase())
  const name = (match?.[1] ?? '').replace(/^\[(.*)\]$/, '$1')
  return [name, match?.[2] === undefined ? (scheme === 'https' ? 443 : 80) : Number(match[2])]
}

function ownNames(host: string): (name: string) => boolean {
  const listened = host.toLowerCase()
  return (name) => {
    if (name === 'localhost' || name === listened) return true
    const address = isIP(name) === 0 ? undefined : normal(name)
    if (address === undefined) return false
    return isLoopback(address) || address === normal(listened) || (isWildcard(listened) && onThisMachine(address))
  }
}

/** `next` if it is a path of this origin, else '/'. Browsers take a backslash for a slash, and drop tabs and line ends. */
export function pathWithin(next: string, origin: string): string {
  if (!/^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/.test(next)) return '/'
  return URL.canParse(next, origin) && new URL(next, origin).origin === origin ? next : '/'
}

/** Does an origin stay on this machine, as browsers see it. */
export function isLocal(origin: string): boolean {
  const name = new URL(origin).hostname
  return name === 'localhost' || isLoopback(normal(name) ?? '')
}

function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'))
}

function isWildcard(host: string): boolean {
  return host === '' || host === '0.0.0.0' || host === '::'
}

function onThisMachine(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some((each) => normal(each.address) === address))
}

function reachable(host: string): string {
  return isWildcard(host) ? 'localhost' : host
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
