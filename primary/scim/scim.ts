/** SCIM, composed: its stores over the accounts, and whoever answers below `/scim/`, errors in SCIM's own shape. */
import type pg from 'pg'
import type { Gate } from '../../protocol/access/gate.js'
import { type AuditedRequest, serveApi } from '../../protocol/api/serve.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { statusOf } from '../../protocol/http/status.js'
import type { Metadata, Principal } from '../../protocol/ports.js'
import type { Directory } from '../accounts/directory.js'
import { Turn } from '../accounts/turn.js'
import { groupsOf } from '../identity/admission.js'
import type { Federation } from '../identity/federation.js'
import type { Providers } from '../identity/providers.js'
import { scimEndpoints } from './endpoints.js'
import { errorReply, refused, taken } from './error.js'
import { ScimGroups } from './groups.js'
import type { LogIns } from './log-ins.js'
import { SCIM } from './provider.js'
import { ScimUsers } from './users.js'

export interface ScimOptions {
  pool: pg.Pool
  metadata: Metadata
  gate: Gate
  directory: Directory
  federation: Federation
  providers: Providers
  logIns: LogIns
  audit: (entry: AuditedRequest) => Promise<void>
  authenticate: (request: HttpRequest) => Principal | Promise<Principal>
  /** Told of what is no fault of the request. */
  onError: (error: unknown, request: HttpRequest) => void
  nowMs: () => number
}

const PREFIX = '/scim/'

/** undefined: another's address. */
export type ScimHandler = (request: HttpRequest) => Promise<Reply> | undefined

export function openScim(options: ScimOptions): ScimHandler {
  const { pool, federation, nowMs, logIns, authenticate, onError } = options
  const parts = { pool, federation, nowMs, turn: new Turn() }
  const users = new ScimUsers(parts, logIns)
  const groups = new ScimGroups({ ...parts, demandOwn: demandOwn(options) })
  const api = serveApi(scimEndpoints({ ...options, users, groups }), options)
  const answer = async (request: HttpRequest): Promise<Reply> => {
    try {
      const reply = await api(request, await authenticate(request))
      if (!reply) throw new RegistryError('missing', 'There is nothing at this address')
      // Said by who knows no SCIM.
      return reply.status === 405 ? errorReply(405, `${request.method} is not offered here`, reply) : reply
    } catch (error) {
      if (statusOf(error) >= 500 && !request.signal.aborted) onError(error, request)
      return refused(error, request.id)
    }
  }
  return (request) => (request.path.startsWith(PREFIX) ? answer(request) : undefined)
}

/**
 * A group is its provider's to fill unless an administrator made it here, or another provider has one of the same name. With a
 * `group_map` an administrator chose each.
 */
function demandOwn({ directory, providers }: Pick<ScimOptions, 'directory' | 'providers'>) {
  return async (provider: string, displayName: string, client: pg.PoolClient): Promise<void> => {
    const own = providers.admission(provider)
    if (own.group_map) return
    const [name = displayName] = groupsOf({ groups: [displayName] }, own) ?? []
    if (directory.group(name))
      throw taken(`Administrators made a group ${name} here; group_prefix or group_map keeps them apart`)
    for (const { key, kind } of providers.list()) {
      const { group_map, group_prefix } = providers.admission(key)
      if (kind !== SCIM || key === provider || group_map || !name.startsWith(group_prefix)) continue
      const { rowCount } = await client.query('select from scim_group where provider = $1 and display_name = $2', [
        key,
        name.slice(group_prefix.length),
      ])
      if (rowCount !== 0) throw taken(`The identity provider ${key} has a group ${name}; group_prefix keeps them apart`)
    }
  }
}
