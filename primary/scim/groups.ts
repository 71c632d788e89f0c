/**
 * Groups as a company's provider says they are. What changes in one costs as many records as people come or go, not as many as it has.
 * A group that administrators made here is never one of these, unless the provider's `group_map` says so.
 */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import { invalid } from './error.js'
import type { Values } from './evaluate.js'
import { keyOf } from './key.js'
import { clausesOf, type List, type ListAsk } from './list.js'
import { Membership } from './membership.js'
import { operationsOf } from './patch.js'
import { demandVersion, type Found, metaOf, type ProvisioningParts, tell, transact } from './provisioning.js'
import { entryOf, readText, type Selection, select, wants } from './resource.js'
import { group as resource } from './schema.js'
import { externalIdOf } from './users.js'

export interface GroupRow {
  id: string
  display_name: string
  external_id: string | null
  version: string
  created_at: Date
  modified_at: Date
}

interface Draft {
  displayName: string
  externalId: string | undefined
}

const MAX_DISPLAY_NAME = 128
/** In one page of groups with their members; one group is always shown whole. */
const MAX_MEMBERS_SHOWN = 20_000

export interface ScimGroupsParts extends ProvisioningParts {
  /** Throws `conflict` where the group here is not the provider's to fill. */
  demandOwn: (provider: string, displayName: string, client: pg.PoolClient) => Promise<void>
}

export class ScimGroups {
  readonly #parts: ScimGroupsParts

  constructor(parts: ScimGroupsParts) {
    this.#parts = parts
  }

  /** With their members, as many of the page as are not too long together. */
  async list(provider: string, base: string, ask: ListAsk): Promise<List> {
    const { pool } = this.#parts
    const values: unknown[] = [provider]
    const { where, order } = clausesOf(ask, resource, values)
    const from = `from scim_group r where r.provider = $1${where}`
    const total = Number((await pool.query(`select count(*) as total ${from}`, values)).rows[0].total)
    const size = '(select count(*) from scim_member m where m.group_id = r.id) as size'
    const page = `select r.*, ${size} ${from} order by ${order} offset ${ask.offset} limit ${ask.limit}`
    const { rows } = ask.limit > 0 ? await pool.query<GroupRow & { size: string }>(page, values) : { rows: [] }
    const shown = wants(ask.selection, 'members') ? fitting(rows) : rows
    const found = await this.#wholes(pool, shown, base, ask.selection)
    return { total, items: found.map(({ whole }) => select(whole, ask.selection, resource)) }
  }

  /** Throws `missing`. */
  async get(provider: string, id: string, base: string, selection: Selection): Promise<Found> {
    const { pool } = this.#parts
    const { rows } = await pool.query<GroupRow>('select * from scim_group where provider = $1 and id = $2', [
      provider,
      id,
    ])
    return this.#shown(pool, rows, id, base, selection)
  }

  create(provider: string, sent: Values, base: string, selection: Selection): Promise<Found> {
    const draft = draftOf(sent)
    const members = new Membership().set(entryOf(sent, 'members'))
    return transact(this.#parts, async (client) => {
      const id = randomUUID()
      const { rows } = await client.query<GroupRow>(
        `insert into scim_group (id, provider, display_key, display_name, external_id, created_at, modified_at)
         values ($1, $2, $3, $4, $5, $6, $6) returning *`,
        [id, provider, ...columnsOf(draft), this.#now()],
      )
      await this.#parts.demandOwn(provider, draft.displayName, client)
      await this.#told(client, provider, await members.write(client, provider, id))
      return this.#shown(client, rows, id, base, selection)
    })
  }

  replace(
    provider: string,
    id: string,
    sent: Values,
    ifMatch: string | undefined,
    base: string,
    selection: Selection,
  ): Promise<Found> {
    const draft = draftOf(sent)
    const members = new Membership().set(entryOf(sent, 'members'))
    return transact(this.#parts, async (client) => {
      const before = await this.#locked(client, provider, id, ifMatch)
      const after = await this.#write(client, provider, before, draft, members)
      return this.#shown(client, [after], id, base, selection)
    })
  }

  patch(provider: string, id: string, sent: Values, ifMatch: string | undefined): Promise<string> {
    const operations = operationsOf(sent, resource)
    return transact(this.#parts, async (client) => {
      const before = await this.#locked(client, provider, id, ifMatch)
      const members = new Membership()
      const values: Values = { displayName: before.display_name, externalId: before.external_id }
      for (const { kind, target, value } of operations) {
        if (target.attribute.name === 'members') await members.apply(client, id, kind, target, value)
        else values[target.attribute.name] = kind === 'remove' ? undefined : value
      }
      return (await this.#write(client, provider, before, draftOf(values), members)).version
    })
  }

  remove(provider: string, id: string, ifMatch: string | undefined): Promise<void> {
    return transact(this.#parts, async (client) => {
      await this.#locked(client, provider, id, ifMatch)
      const left = await new Membership().set([]).write(client, provider, id)
      await client.query('delete from scim_group where id = $1', [id])
      await this.#told(client, provider, left)
    })
  }

  async #write(
    client: pg.PoolClient,
    provider: string,
    before: GroupRow,
    draft: Draft,
    members: Membership,
  ): Promise<GroupRow> {
    const renamed = draft.displayName !== before.display_name
    if (renamed) await this.#parts.demandOwn(provider, draft.displayName, client)
    const changed = await members.write(client, provider, before.id)
    const { rows } = await client.query<GroupRow>(
      `update scim_group set display_key = $2, display_name = $3, external_id = $4, version = version + 1, modified_at = $5
       where id = $1 and ($6 or (display_name, external_id) is distinct from ($3, $4)) returning *`,
      [before.id, ...columnsOf(draft), this.#now(), changed.length > 0],
    )
    const all = renamed
      ? [...changed, ...(await membersOf(client, [before.id])).map(({ user_id }) => user_id)]
      : changed
    await this.#told(client, provider, [...new Set(all)])
    return rows[0] ?? before
  }

  /** Users' own resources name their groups, so that they change, too. */
  async #told(client: pg.PoolClient, provider: string, users: readonly string[]): Promise<void> {
    await client.query('update scim_user set version = version + 1, modified_at = $2 where id = any($1)', [
      users,
      this.#now(),
    ])
    await tell(this.#parts, client, provider, users, false)
  }

  async #locked(client: pg.PoolClient, provider: string, id: string, ifMatch: string | undefined): Promise<GroupRow> {
    const { rows } = await client.query<GroupRow>(
      'select * from scim_group where provider = $1 and id = $2 for update',
      [provider, id],
    )
    const [row] = rows
    if (!row) throw noGroup(id)
    demandVersion(ifMatch, row.version)
    return row
  }

  async #shown(
    client: Pick<pg.Pool, 'query'>,
    rows: GroupRow[],
    id: string,
    base: string,
    selection: Selection,
  ): Promise<Found> {
    const [found] = await this.#wholes(client, rows, base, selection)
    if (!found) throw noGroup(id)
    return { ...found, whole: select(found.whole, selection, resource) }
  }

  async #wholes(
    client: Pick<pg.Pool, 'query'>,
    rows: GroupRow[],
    base: string,
    selection: Selection,
  ): Promise<Found[]> {
    const ids = rows.map(({ id }) => id)
    const members = new Map(ids.map((id): [string, Values[]] => [id, []]))
    if (wants(selection, 'members'))
      for (const { group_id, user_id } of await membersOf(client, ids))
        members.get(group_id)?.push({ value: user_id, $ref: `${base}/Users/${user_id}`, type: 'User' })
    return rows.map((row) => {
      const version = { version: row.version, createdAt: row.created_at, modifiedAt: row.modified_at }
      const whole = {
        schemas: [resource.schema],
        id: row.id,
        ...(row.external_id === null ? {} : { externalId: row.external_id }),
        displayName: row.display_name,
        members: members.get(row.id) ?? [],
        meta: metaOf(resource.name, version, `${base}/Groups/${row.id}`),
      }
      return { ...version, whole }
    })
  }

  #now(): string {
    return new Date(this.#parts.nowMs()).toISOString()
  }
}

/** A server "MAY return fewer results" than asked for (RFC 7644, section 3.4.2.4). */
function fitting<R extends { size: string }>(rows: R[]): R[] {
  let members = 0
  const end = rows.findIndex(({ size }) => {
    members += Number(size)
    return members > MAX_MEMBERS_SHOWN
  })
  return end < 0 ? rows : rows.slice(0, Math.max(1, end))
}

/** Throws `invalidValue`. */
function draftOf(sent: Values): Draft {
  const displayName = readText('displayName', entryOf(sent, 'displayName') ?? '', MAX_DISPLAY_NAME)
  if (displayName.trim() === '' || /\p{Cc}/u.test(displayName))
    throw invalid('invalidValue', 'A group has a displayName without control characters')
  return { displayName, externalId: externalIdOf(sent) }
}

function columnsOf({ displayName, externalId }: Draft): [string, string, string | null] {
  return [keyOf(displayName), displayName, externalId ?? null]
}

async function membersOf(
  client: Pick<pg.Pool, 'query'>,
  groups: readonly string[],
): Promise<{ group_id: string; user_id: string }[]> {
  const { rows } = await client.query<{ group_id: string; user_id: string }>(
    'select group_id, user_id from scim_member where group_id = any($1) order by group_id, user_id',
    [groups],
  )
  return rows
}

function noGroup(id: string): RegistryError {
  return new RegistryError('missing', `There is no group ${id.slice(0, 100)}`)
}
