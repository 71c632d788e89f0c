/**
 * The way out to upstreams: straight, or through the operator's proxy. Straight, every address is looked at inside connect. A proxy
 * resolves names itself and may be anywhere, since the operator named it: what can be judged then is the address that a URL names
 * literally, and names that always mean the proxy's own machine; what other names lead to is for the proxy to allow.
 */
import { isIP } from 'node:net'
import { rootCertificates } from 'node:tls'
import { Agent, type Dispatcher, ProxyAgent } from 'undici'
import { forbidden, guardedConnect, type Resolve } from './connect.js'
import { bareHost, type Guard } from './guard.js'
import { exceptions } from './no-proxy.js'

export interface EgressOptions {
  guard: Guard
  connectMs: number
  /** Sockets to one origin. */
  connections: number
  /** Certificates to trust besides those that are built in, PEM. */
  ca?: string | undefined
  resolve?: Resolve | undefined
  /** `http:` or `https:`, with the credentials that it asks for. */
  proxy?: string | undefined
  /** Hosts that are reached without it. */
  noProxy?: readonly string[] | undefined
}

const MAX_HEADER_BYTES = 32 * 1024

export class Egress {
  readonly #guard: Guard
  readonly #straight: Agent
  readonly #proxy: ProxyAgent | undefined
  readonly #isException: (url: URL) => boolean

  constructor({ guard, connectMs, connections, ca, resolve, proxy, noProxy = [] }: EgressOptions) {
    // The option replaces what is trusted, so the built-in ones are named again.
    const trusted = ca === undefined ? {} : { ca: [...rootCertificates, ca] }
    const tls = { ...trusted, timeout: connectMs, allowH2: false }
    const pool = { connections, pipelining: 1, maxHeaderSize: MAX_HEADER_BYTES }
    this.#guard = guard
    this.#isException = exceptions(noProxy)
    this.#straight = new Agent({ ...pool, connect: guardedConnect({ guard, resolve, tls }) })
    // Without a tunnel, http is asked for in absolute form; https always goes through CONNECT.
    if (proxy !== undefined)
      this.#proxy = new ProxyAgent({
        ...pool,
        ...proxyOf(proxy),
        requestTls: tls,
        proxyTls: tls,
        proxyTunnel: false,
      })
  }

  /** Throws `upstream` for what must not be asked of the proxy. */
  to(url: URL): Dispatcher {
    if (!this.#proxy || this.#isException(url)) return this.#straight
    const host = bareHost(url.hostname)
    const literal = isIP(host) === 0 ? (/(?:^|\.)localhost$/.test(host) ? '127.0.0.1' : undefined) : host
    if (literal !== undefined && !this.#guard.allows(literal, host)) throw forbidden(host)
    return this.#proxy
  }

  async close(): Promise<void> {
    await this.#straight.destroy()
    await this.#proxy?.destroy()
  }
}

/** Its credentials are taken out of the address, which errors may show. */
function proxyOf(address: string): { uri: string; token?: string } {
  const { origin, username, password } = new URL(address)
  if (username === '') return { uri: origin }
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { uri: origin, token: `Basic ${Buffer.from(credentials).toString('base64')}` }
}
