/**
 * What proxies say about the client (X-Forwarded-*, or RFC 7239's Forwarded). Believed only from peers that the operator
 * trusts, and then only the part that a trusted peer itself added: lists are read from their end.
 */
import { type AddressList, normal } from './address.js'

export interface Forwarded {
  /** The nearest address that is not a trusted proxy. */
  remote: string
  host: string | undefined
  proto: 'http' | 'https' | undefined
}

type Headers = ReadonlyMap<string, string>

/** `peer` is the address at the other end of the connection. */
export function forwarded(peer: string, headers: Headers, trusted: AddressList): Forwarded {
  if (!trusted.has(peer)) return { remote: peer, host: undefined, proto: undefined }
  const elements = standard(headers.get('forwarded'))
  const nearest = elements.at(-1)
  const proto = (last(headers.get('x-forwarded-proto')) ?? nearest?.get('proto'))?.toLowerCase()
  return {
    remote: client(peer, chain(headers, elements), trusted),
    host: last(headers.get('x-forwarded-host')) ?? nearest?.get('host'),
    proto: proto === 'http' || proto === 'https' ? proto : undefined,
  }
}

function chain(headers: Headers, elements: Headers[]): string[] {
  const listed = headers.get('x-forwarded-for')
  return listed === undefined ? elements.map((element) => element.get('for') ?? '') : listed.split(',')
}

function client(peer: string, hops: string[], trusted: AddressList): string {
  let remote = peer
  for (const hop of hops.reverse()) {
    const address = normal(hop)
    if (address === undefined) break
    remote = address
    if (!trusted.has(address)) break
  }
  return remote
}

function last(list: string | undefined): string | undefined {
  return list?.split(',').at(-1)?.trim()
}

/** Values that hold a comma or semicolon inside quotes come out damaged, and then match nothing. */
function standard(header: string | undefined): Map<string, string>[] {
  if (header === undefined) return []
  return header.split(',').map((element) => {
    const pairs = element.split(';').map((pair) => pair.trim().split('=', 2))
    return new Map(pairs.map(([name = '', value = '']) => [name.toLowerCase(), value.replace(/^"(.*)"$/, '$1')]))
  })
}
