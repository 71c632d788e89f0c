/**
 * The nodes of a fleet, as the primary names them, each with a client of its own. They get a token that was made for this, can only
 * read, and is revoked afterwards: what somebody may do at the primary is not told to every address that a node says it has.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { Client, record } from '../client.js'

export interface Member {
  name: string
  client: Client
}

const KNOWN_MS = 10_000
const AGAIN_MS = 100

/** `only`: name or id of one; undefined: all that are online. Throws `missing` for a node that is not there, or is not online. */
export async function withNodes<T>(
  primary: Client,
  only: string | undefined,
  use: (members: Member[]) => Promise<T>,
): Promise<T> {
  const nodes = (await primary.all('/api/v1/edge-nodes?limit=1000')).filter(({ status }) => status !== 'revoked')
  const wanted = nodes.filter(({ id, name }) => only === undefined || id === only || name === only)
  if (wanted.length === 0)
    throw new RegistryError('missing', only === undefined ? 'There are no nodes' : `There is no node ${only}`)
  const away = wanted.filter(({ status, url }) => status !== 'online' || typeof url !== 'string')
  if (away.length > 0)
    throw new RegistryError('unavailable', `Not online: ${away.map(({ name }) => String(name)).join(', ')}`)
  const draft = { name: 'cairn prefetch', scopes: ['read'], expires_in_days: 1 }
  const { id, value } = record(await primary.json('POST', '/api/v1/auth/tokens', draft))
  try {
    const members = wanted.map(({ name, url }) => ({
      name: String(name),
      client: new Client({ url: String(url), token: String(value) }),
    }))
    for (const { client } of members) await known(client)
    return await use(members)
  } finally {
    await primary.json('DELETE', `/api/v1/auth/tokens/${encodeURIComponent(String(id))}`)
  }
}

/** The token has reached the node. */
async function known(client: Client): Promise<void> {
  const late = deadline(KNOWN_MS)
  for (;;) {
    try {
      await client.json('GET', '/api/v1/auth/me')
      return
    } catch (error) {
      if (!(error instanceof RegistryError) || error.kind !== 'unauthenticated' || late.aborted) throw error
      await delay(AGAIN_MS)
    }
  }
}
