/**
 * Opens sockets to upstreams, and to nothing else: every address that a name resolves to is looked at inside connect, so what
 * was checked is what is connected to, however often the name changes. One forbidden address among several forbids them all.
 */
import { type LookupAddress, lookup as resolve } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import { RegistryError } from '../../protocol/errors.js'
import { bareHost, type Guard } from './guard.js'

export type Resolve = (
  host: string,
  options: { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export interface ConnectOptions {
  guard: Guard
  tls: buildConnector.BuildOptions
  /** Names to addresses; default the system's way. A test answers for itself. */
  resolve?: Resolve | undefined
}

export function guardedConnect({ guard, tls, resolve }: ConnectOptions): buildConnector.connector {
  // The type of the connector's options knows no `lookup`; net.connect and tls.connect, which get them, do.
  const connect = buildConnector({ ...tls, lookup: guardedLookup(guard, resolve) } as buildConnector.BuildOptions)
  return (target, callback) => {
    const host = bareHost(target.hostname)
    // An address is never looked up.
    if (isIP(host) !== 0 && !guard.allows(host, host)) return callback(forbidden(host), null)
    connect(target, callback)
  }
}

/** For `net.connect`, which does not ask it about addresses. */
export function guardedLookup(guard: Guard, ask: Resolve = resolve as Resolve): LookupFunction {
  return (host, options, done) =>
    ask(host, { all: true }, (error, found) => {
      if (error) return done(error, [])
      const wrong = found.find(({ address }) => !guard.allows(address, host))
      if (wrong || found.length === 0) return done(forbidden(host), [])
      const family = options.family === 4 || options.family === 6 ? options.family : 0
      const usable = family === 0 ? found : found.filter((one) => one.family === family)
      const [first] = usable
      if (!first) return done(forbidden(host), [])
      return options.all ? done(null, usable) : done(null, first.address, first.family)
    })
}

/** Names no address: what a name means inside is nobody's business. */
export function forbidden(host: string): RegistryError {
  return new RegistryError(
    'upstream',
    `The upstream ${host} has an address that is not allowed here; an administrator can allow it (CAIRN_UPSTREAM_ALLOW)`,
    { code: 'upstream_forbidden' },
  )
}
