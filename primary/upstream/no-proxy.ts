/** Hosts that are reached without the proxy, as NO_PROXY lists them: a host means all below it too, a range all addresses in it. */
import { isIP } from 'node:net'
import { addressList } from '../../protocol/http/address.js'
import { bareHost } from './guard.js'

export function exceptions(entries: readonly string[]): (url: URL) => boolean {
  const ranges = addressList(entries.filter(isRange))
  const hosts = entries.filter((entry) => !isRange(entry)).map((entry) => bareHost(entry).replace(/^\*?\./, ''))
  return ({ hostname }) => {
    const host = bareHost(hostname)
    if (hosts.includes('*')) return true
    return isIP(host) === 0 ? hosts.some((entry) => host === entry || host.endsWith(`.${entry}`)) : ranges.has(host)
  }
}

function isRange(entry: string): boolean {
  return isIP(entry.split('/')[0] ?? '') !== 0
}
