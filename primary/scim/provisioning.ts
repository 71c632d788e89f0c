/**
 * What the stores of users and groups share: one writer at a time, one transaction each, and telling the accounts. Accounts are changed
 * (in one commit of the log) before the transaction ends: what a crash leaves behind is a change that the company's provider, which got
 * no answer, sends again, never somebody who seems to be gone and is not.
 */
import pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import type { Turn } from '../accounts/turn.js'
import type { Federation, Kept } from '../identity/federation.js'
import { unavailable } from '../postgres/pool.js'
import { invalid, taken } from './error.js'
import type { Values } from './evaluate.js'

export interface ProvisioningParts {
  pool: pg.Pool
  federation: Federation
  turn: Turn
  nowMs: () => number
}

/** As it stands beside a resource. */
export interface Version {
  version: string
  createdAt: Date
  modifiedAt: Date
}

export interface Found extends Version {
  whole: Values
}

/** Everything or nothing; names that are taken are a `conflict`. */
export function transact<T>(
  { pool, turn }: ProvisioningParts,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  return turn.run(async () => {
    const client = await pool.connect().catch((error) => {
      throw unavailable(error)
    })
    let broken: Error | undefined
    try {
      await client.query('begin')
      const result = await work(client)
      await client.query('commit')
      return result
    } catch (error) {
      await client.query('rollback').catch((lost) => {
        broken = lost
      })
      throw inWords(error)
    } finally {
      client.release(broken)
    }
  })
}

/** The accounts of some users, as what the transaction holds by now says. `makes`: those that are not there, too. */
export async function tell(
  { federation }: ProvisioningParts,
  client: pg.PoolClient,
  provider: string,
  users: readonly string[],
  makes: boolean,
): Promise<void> {
  if (users.length === 0) return
  const { rows } = await client.query<{ id: string; attributes: Values; groups: string[] }>(
    `select r.id, r.attributes, array(
       select g.display_name from scim_member m join scim_group g on g.id = m.group_id where m.user_id = r.id order by 1
     ) as groups
     from scim_user r where r.provider = $1 and r.id = any($2)`,
    [provider, users],
  )
  const kept = rows.map(({ id, attributes, groups }) => keptOf(provider, id, attributes, groups))
  await federation.keep(kept, makes)
}

export function keptOf(provider: string, id: string, attributes: Values, groups: string[]): Kept {
  return {
    provider,
    subject: id,
    name: String(attributes.userName),
    email: emailOf(attributes),
    emailVerified: false,
    groups,
    admin: undefined,
    active: attributes.active !== false,
  }
}

/** RFC 7644 section 3.14. Weak or not, as clients send it back. Throws `precondition`. */
export function demandVersion(ifMatch: string | undefined, version: string): void {
  if (ifMatch === undefined || ifMatch.trim() === '*') return
  const tags = [...ifMatch.matchAll(/"([^"]*)"/g)].map(([, tag]) => tag)
  if (!tags.includes(version))
    throw new RegistryError('precondition', 'The resource has changed since it was read; read it again')
}

export function metaOf(
  resourceType: string,
  { createdAt, modifiedAt, version }: Version,
  location: string,
): Record<string, string> {
  return {
    resourceType,
    created: createdAt.toISOString(),
    lastModified: modifiedAt.toISOString(),
    location,
    version: tagOf(version),
  }
}

export function tagOf(version: string): string {
  return `W/"${version}"`
}

const EMAIL = /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,189}$/u

function emailOf({ emails }: Values): string {
  const list = Array.isArray(emails) ? (emails as Values[]) : []
  const best = list.find(({ primary }) => primary === true) ?? list.find(({ type }) => type === 'work') ?? list[0]
  const value = typeof best?.value === 'string' ? best.value : ''
  return EMAIL.test(value) ? value : ''
}

function inWords(error: unknown): unknown {
  if (error instanceof RegistryError) return ofRequest(error)
  if (!(error instanceof pg.DatabaseError)) return unavailable(error)
  if (error.code === '22021') return invalid('invalidValue', 'The request holds what is no character')
  if (error.code !== '23505') return error
  const what = error.constraint?.includes('external') ? 'externalId' : 'name'
  return taken(`There is one with this ${what} already`)
}

/** A name that no account can have, or another has, is the request's fault. */
function ofRequest(error: RegistryError): RegistryError {
  if (error.code === 'name_taken') return taken(error.message)
  return error.code === 'name_refused' ? invalid('invalidValue', error.message) : error
}
