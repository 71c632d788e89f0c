/** The URL of the embedded Postgres, as libpq and pg know it. */
import type { Endpoint } from './endpoint.js'

export const USER = 'cairn'
export const DATABASE = 'cairn'

export function urlOf(endpoint: Endpoint, password: string, database: string): string {
  if ('port' in endpoint) return `postgres://${USER}:${password}@127.0.0.1:${endpoint.port}/${database}`
  return `postgres://${USER}:${password}@/${database}?host=${encodeURIComponent(endpoint.socketDir)}`
}
