/** Who logged out here goes on to the provider with what it calls the session there: sealed, since it is in an address, and for a minute. */
import type { HttpRequest } from '../../protocol/http/request.js'
import { seal, unseal } from '../upstream/credentials.js'

interface Sealing {
  key: Uint8Array
  nowMs: () => number
}

const LIFETIME_MS = 60_000

/** For the end of the address of the provider's `GET logout`. */
export function leaving({ key, nowMs }: Sealing, provider: string, providerSession: string | undefined): string {
  if (providerSession === undefined) return ''
  const kept = JSON.stringify({ providerSession, untilMs: nowMs() + LIFETIME_MS })
  return `?${new URLSearchParams({ session: seal(key, scopeOf(provider), kept).toString('base64url') })}`
}

/** undefined: the provider does not name its sessions, or this is too late. */
export function leftSession({ key, nowMs }: Sealing, provider: string, { query }: HttpRequest): string | undefined {
  const sealed = new URLSearchParams(query).get('session')
  if (sealed === null) return undefined
  try {
    const kept = JSON.parse(unseal(key, scopeOf(provider), Buffer.from(sealed, 'base64url')))
    return kept.untilMs >= nowMs() ? kept.providerSession : undefined
  } catch {
    return undefined
  }
}

function scopeOf(provider: string): string {
  return `logout/${provider}`
}
