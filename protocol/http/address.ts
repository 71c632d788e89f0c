/** IP addresses as text in one spelling, and lists of trusted ones. An IPv4 address inside IPv6 is that IPv4 address. */
import { BlockList, isIP } from 'node:net'
import { RegistryError } from '../errors.js'

export interface AddressList {
  /** Nobody is trusted, so there is no need to know an address. */
  readonly empty: boolean
  has(address: string): boolean
}

/** Addresses and CIDR ranges; throws `invalid` for what is neither. */
export function addressList(entries: readonly string[]): AddressList {
  const list = new BlockList()
  for (const entry of entries) add(list, entry.trim())
  return {
    empty: entries.length === 0,
    has: (address) => {
      const version = isIP(address)
      return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4')
    },
  }
}

/** The text of an address of 4 or 16 bytes; '' for anything else, such as the peer of a socket that is gone. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.byteLength === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  if (bytes.byteLength !== 16) return ''
  if (bytes.subarray(0, 12).every((byte, index) => byte === (index < 10 ? 0 : 255))) return bytes.subarray(12).join('.')
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
  )
  return normal(groups.join(':')) ?? ''
}

/** One spelling for an address that someone wrote; undefined when it is none. Ports and brackets are taken off. */
export function normal(text: string): string | undefined {
  const bare = text.trim().replace(/^\[(.*)\](?::\d+)?$/, '$1')
  if (isIP(bare) === 4) return bare
  if (isIP(bare) === 6) return unmapped(new URL(`http://[${bare.replace(/%.*$/, '')}]/`).hostname.slice(1, -1))
  const withoutPort = bare.replace(/:\d+$/, '')
  return isIP(withoutPort) === 4 ? withoutPort : undefined
}

function unmapped(address: string): string {
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  if (mapped === null) return address
  const [high, low] = [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

function add(list: BlockList, entry: string): void {
  const [address = '', prefix] = entry.split('/', 2)
  const version = isIP(address)
  const bits = version === 6 ? 128 : 32
  const length = prefix === undefined ? bits : Number(prefix)
  if (version === 0 || !/^\d*$/.test(prefix ?? '') || prefix === '' || length > bits) {
    throw new RegistryError('invalid', `Not an address or an address range: ${entry}`)
  }
  list.addSubnet(address, length, version === 6 ? 'ipv6' : 'ipv4')
}
