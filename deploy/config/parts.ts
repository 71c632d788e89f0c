/** What each main is started with, out of resolved settings: the defaults that depend on other settings are decided here. */
import { isIPv4 } from 'node:net'
import { RegistryError } from '../../protocol/errors.js'
import type { RateLimits } from '../../protocol/http/rate-limit.js'
import type { TlsFiles } from '../../protocol/http/tls-files.js'
import type { NodeSettings, PrimarySettings, UpstreamSettings } from '../../protocol/settings.js'
import type { Values } from './table.js'

const FLEET_PORT_OFFSET = 1000
const MAX_PORT = 65_535

export function primarySettings(values: Values): PrimarySettings {
  const { data, host, port, publicUrls, trustedProxies, logLevel, databaseUrl, adminPassword } = values
  const { anonymous, restoreDays, reverifySeconds, scrubRate, maxUploadBytes, upstreamAllow, fleetUrl } = values
  const fleet = { fleetPort: values.fleetPort ?? fleetPortOf(port), fleetHost: values.fleetHost ?? host, fleetUrl }
  const part = { data, host, port, publicUrls, trustedProxies, logLevel, tls: tlsOf(values), rates: ratesOf(values) }
  const limits = {
    restoreDays,
    reverifySeconds,
    scrubRate,
    maxUploadBytes,
    upstreamAllow,
    remoteCacheBytes: values.remoteCacheBytes,
  }
  const entry = { adminPassword, anonymous, secondFactor: values.secondFactor, passwordList: values.passwordList }
  const mostDays = values.tokenMaxDays || undefined
  const tokens = { days: Math.max(1, Math.min(values.tokenDays, mostDays ?? values.tokenDays)), mostDays }
  const watch = { syslog: values.syslog, breakGlass: values.breakGlass }
  return { ...part, ...fleet, databaseUrl, ...entry, tokens, ...watch, ...limits, upstreams: upstreamSettings(values) }
}

function upstreamSettings(values: Values): UpstreamSettings {
  return {
    proxy: values.upstreamProxy,
    noProxy: values.upstreamNoProxy,
    ca: values.upstreamCa,
    connectSeconds: values.upstreamConnectSeconds,
    firstByteSeconds: values.upstreamFirstByteSeconds,
    idleSeconds: values.upstreamIdleSeconds,
    requestsPerSecond: values.upstreamRequestsPerSecond,
  }
}

export function nodeSettings(values: Values): NodeSettings {
  const { data, host, port, publicUrls, trustedProxies, logLevel, name, join, cacheBytes } = values
  const { meshPort, bulkPort, anonymous, reverifySeconds, scrubRate, maxUploadBytes } = values
  const meshHost = values.meshHost ?? meshHostOf(host)
  const mesh = { meshHost, meshPort, bulkPort, mdns: values.mdns ?? !meshHost.startsWith('127.') }
  const part = { data, host, port, publicUrls, trustedProxies, logLevel, tls: tlsOf(values), rates: ratesOf(values) }
  const { site, uploadRate, downloadRate, linkRate } = values
  return {
    ...part,
    ...mesh,
    site,
    uploadRate,
    downloadRate,
    linkRate,
    name,
    join,
    cacheBytes,
    anonymous,
    reverifySeconds,
    scrubRate,
    maxUploadBytes,
  }
}

function ratesOf({ loginsPerMinute: logins, apiPerMinute: api, downloadsPerMinute: downloads }: Values): RateLimits {
  return { logins, api, downloads }
}

/** Throws `invalid` for one without the other. */
function tlsOf({ tlsCert: certFile, tlsKey: keyFile }: Values): TlsFiles | undefined {
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile }
  throw new RegistryError('invalid', 'CAIRN_TLS_CERT and CAIRN_TLS_KEY belong together', { code: 'usage' })
}

/** Any free one stays any free one; near the end of the range it is below. */
export function fleetPortOf(port: number): number {
  if (port === 0) return 0
  return port + FLEET_PORT_OFFSET <= MAX_PORT ? port + FLEET_PORT_OFFSET : port - FLEET_PORT_OFFSET
}

/** The mesh speaks IPv4. */
function meshHostOf(host: string): string {
  if (isIPv4(host)) return host
  return host === 'localhost' || host === '::1' ? '127.0.0.1' : '0.0.0.0'
}
