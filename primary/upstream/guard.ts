/**
 * Which addresses an upstream may have. Everything but public unicast is refused, by what is good and not by what is bad, unless
 * the operator names it (`CAIRN_UPSTREAM_ALLOW`): ranges, addresses, and hosts, of which '*.example.org' means all below.
 */
import { isIP } from 'node:net'
import { RegistryError } from '../../protocol/errors.js'
import { addressList, normal } from '../../protocol/http/address.js'

export interface Guard {
  /** May a socket be opened to this address, found under this host name. */
  allows(address: string, host: string): boolean
}

/** IANA's special-purpose registry for IPv4, multicast and reserved: what is left is public. */
const NOT_PUBLIC_4 = addressList([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
])
/** Global unicast, and what inside it is something else: protocol assignments, documentation, 6to4. */
const PUBLIC_6 = addressList(['2000::/3'])
const NOT_PUBLIC_6 = addressList(['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20'])

/** Throws `invalid` for an entry that is neither. */
export function guard(allow: readonly string[]): Guard {
  const ranges = addressList(allow.filter(isRange))
  const hosts = allow.filter((entry) => !isRange(entry)).map(hostEntry)
  return {
    allows(address, host) {
      const plain = normal(address)
      if (plain === undefined) return false
      return isPublic(plain) || ranges.has(plain) || hosts.some((entry) => matches(entry, bareHost(host)))
    },
  }
}

/** Lowercase, without brackets and the root's dot. */
export function bareHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
}

function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !NOT_PUBLIC_4.has(address)
  return PUBLIC_6.has(address) && !NOT_PUBLIC_6.has(address)
}

function isRange(entry: string): boolean {
  return isIP(entry.split('/')[0] ?? '') !== 0
}

function hostEntry(entry: string): string {
  const host = bareHost(entry)
  if (!/^(?:\*\.)?[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/.test(host))
    throw new RegistryError('invalid', `Neither an address range nor a host: ${entry}`)
  return host
}

function matches(entry: string, host: string): boolean {
  return entry.startsWith('*.') ? host.endsWith(entry.slice(1)) : host === entry
}
