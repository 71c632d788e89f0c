/** The settings of this primary as its client for upstreams takes them. */
import { readFile } from 'node:fs/promises'
import { RegistryError } from '../../protocol/errors.js'
import type { PrimarySettings } from '../../protocol/settings.js'
import type { UpstreamClientOptions } from './client.js'
import { guard } from './guard.js'

/** Throws `invalid` for authorities that cannot be read. */
export async function upstreamOptions({
  upstreamAllow,
  upstreams,
}: Pick<PrimarySettings, 'upstreamAllow' | 'upstreams'>): Promise<UpstreamClientOptions> {
  const { proxy, noProxy, ca, connectSeconds, firstByteSeconds, idleSeconds, requestsPerSecond } = upstreams
  return {
    guard: guard(upstreamAllow),
    proxy,
    noProxy,
    ...(ca === undefined ? {} : { ca: await authorities(ca) }),
    connectMs: connectSeconds * 1000,
    firstByteMs: firstByteSeconds * 1000,
    idleMs: idleSeconds * 1000,
    budget: { perSecond: requestsPerSecond },
  }
}

async function authorities(path: string): Promise<string> {
  const pem = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new RegistryError('invalid', `CAIRN_UPSTREAM_CA: ${path} cannot be read`, { cause })
  })
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  throw new RegistryError('invalid', `CAIRN_UPSTREAM_CA: ${path} holds no certificate in PEM form`)
}
