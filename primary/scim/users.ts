/**
 * Users as a company's provider says they are. Whom it deletes is out of SCIM's sight and out of every session and token; the account
 * itself stays, disabled, with the name that stands in the trail, and is that person's again when the same `externalId` comes back.
 */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import { invalid } from './error.js'
import type { Values } from './evaluate.js'
import { keyOf } from './key.js'
import { clausesOf, type List, type ListAsk } from './list.js'
import type { LogIns } from './log-ins.js'
import { operationsOf, patched } from './patch.js'
import { demandVersion, type Found, keptOf, metaOf, type ProvisioningParts, tell, transact } from './provisioning.js'
import { entryOf, read, readText, type Selection, select, wants } from './resource.js'
import { user as resource } from './schema.js'

interface Row {
  id: string
  external_id: string | null
  attributes: Values
  version: string
  created_at: Date
  modified_at: Date
}

interface Draft {
  externalId: string | undefined
  attributes: Values
}

interface GroupRow {
  user_id: string
  id: string
  display_name: string
}

const MAX_USER_NAME = 256
const MAX_EXTERNAL_ID = 512

export class ScimUsers {
  readonly #parts: ProvisioningParts
  readonly #logIns: LogIns

  constructor(parts: ProvisioningParts, logIns: LogIns) {
    this.#parts = parts
    this.#logIns = logIns
  }

  async list(provider: string, base: string, ask: ListAsk): Promise<List> {
    const { pool } = this.#parts
    const values: unknown[] = [provider]
    const { where, order } = clausesOf(ask, resource, values)
    const from = `from scim_user r where r.provider = $1${where}`
    const total = Number((await pool.query(`select count(*) as total ${from}`, values)).rows[0].total)
    const page = `select r.* ${from} order by ${order} offset ${ask.offset} limit ${ask.limit}`
    const { rows } = ask.limit > 0 ? await pool.query<Row>(page, values) : { rows: [] }
    const found = await this.#wholes(pool, rows, base, ask.selection)
    return { total, items: found.map(({ whole }) => select(whole, ask.selection, resource)) }
  }

  /** Throws `missing`. */
  async get(provider: string, id: string, base: string, selection: Selection): Promise<Found> {
    const { rows } = await this.#parts.pool.query<Row>('select * from scim_user where provider = $1 and id = $2', [
      provider,
      id,
    ])
    return this.#shown(this.#parts.pool, rows, id, base, selection)
  }

  create(provider: string, sent: Values, base: string, selection: Selection): Promise<Found> {
    const draft = draftOf(sent)
    draft.attributes.active ??= true
    return transact(this.#parts, async (client) => {
      const id = await this.#promised(provider, draft)
      const { rows } = await client.query<Row>(
        `insert into scim_user (id, provider, user_key, external_id, attributes, created_at, modified_at)
         values ($1, $2, $3, $4, $5, $6, $6) returning *`,
        [id, provider, ...columnsOf(draft), this.#now()],
      )
      await this.#logIns.adopt(provider, id, String(draft.attributes.userName), draft.externalId)
      await tell(this.#parts, client, provider, [id], true)
      await client.query('delete from scim_promise where id = $1', [id])
      return this.#shown(client, rows, id, base, selection)
    })
  }

  /** All of it anew; only who is active stays so where nothing is said of it. */
  replace(
    provider: string,
    id: string,
    sent: Values,
    ifMatch: string | undefined,
    base: string,
    selection: Selection,
  ): Promise<Found> {
    const draft = draftOf(sent)
    return this.#change(provider, id, ifMatch, base, selection, ({ attributes: { active } }) => {
      draft.attributes.active ??= active ?? true
      return draft
    })
  }

  patch(
    provider: string,
    id: string,
    sent: Values,
    ifMatch: string | undefined,
    base: string,
    selection: Selection,
  ): Promise<Found> {
    const operations = operationsOf(sent, resource)
    return this.#change(provider, id, ifMatch, base, selection, ({ attributes, external_id }) => {
      const { externalId, ...rest } = patched(
        { ...attributes, ...(external_id === null ? {} : { externalId: external_id }) },
        operations,
      )
      const active = rest.active ?? attributes.active ?? true
      return draftOf({ ...rest, active, externalId })
    })
  }

  remove(provider: string, id: string, ifMatch: string | undefined): Promise<void> {
    const { federation } = this.#parts
    return transact(this.#parts, async (client) => {
      const row = await this.#locked(client, provider, id, ifMatch)
      await client.query(
        'update scim_group set version = version + 1 where id in (select group_id from scim_member where user_id = $1)',
        [id],
      )
      await client.query('delete from scim_user where id = $1', [id])
      await federation.keep([{ ...keptOf(provider, id, row.attributes, []), active: false }], false)
      await this.#logIns.leave(provider, id, row.external_id ?? undefined)
    })
  }

  /** Outside of the transaction: the account is made for this id, whatever becomes of the rest. */
  async #promised(provider: string, draft: Draft): Promise<string> {
    const [userKey, externalId] = columnsOf(draft)
    const { rows } = await this.#parts.pool.query<{ id: string }>(
      `insert into scim_promise (provider, user_key, external_id, id) values ($1, $2, $3, $4)
       on conflict (provider, user_key) do update set external_id = excluded.external_id,
         id = case when scim_promise.external_id is not distinct from excluded.external_id then scim_promise.id else excluded.id end
       returning id`,
      [provider, userKey, externalId, randomUUID()],
    )
    return rows[0]?.id ?? ''
  }

  #change(
    provider: string,
    id: string,
    ifMatch: string | undefined,
    base: string,
    selection: Selection,
    next: (before: Row) => Draft,
  ): Promise<Found> {
    return transact(this.#parts, async (client) => {
      const before = await this.#locked(client, provider, id, ifMatch)
      const draft = next(before)
      const { rows } = await client.query<Row>(
        `update scim_user set user_key = $2, external_id = $3, attributes = $4, version = version + 1, modified_at = $5
         where id = $1 and (attributes, external_id) is distinct from ($4::jsonb, $3::text) returning *`,
        [id, ...columnsOf(draft), this.#now()],
      )
      // Also when nothing changes here: an account that somebody else changed follows again.
      await tell(this.#parts, client, provider, [id], true)
      return this.#shown(client, rows.length > 0 ? rows : [before], id, base, selection)
    })
  }

  async #locked(client: pg.PoolClient, provider: string, id: string, ifMatch: string | undefined): Promise<Row> {
    const { rows } = await client.query<Row>('select * from scim_user where provider = $1 and id = $2 for update', [
      provider,
      id,
    ])
    const [row] = rows
    if (!row) throw noUser(id)
    demandVersion(ifMatch, row.version)
    return row
  }

  async #shown(
    client: Pick<pg.Pool, 'query'>,
    rows: Row[],
    id: string,
    base: string,
    selection: Selection,
  ): Promise<Found> {
    const [found] = await this.#wholes(client, rows, base, selection)
    if (!found) throw noUser(id)
    return { ...found, whole: select(found.whole, selection, resource) }
  }

  async #wholes(client: Pick<pg.Pool, 'query'>, rows: Row[], base: string, selection: Selection): Promise<Found[]> {
    const groups = wants(selection, 'groups') ? await groupsOf(client, rows) : []
    return rows.map((row) => {
      const version = { version: row.version, createdAt: row.created_at, modifiedAt: row.modified_at }
      const within = groups
        .filter(({ user_id }) => user_id === row.id)
        .map(({ id, display_name }) => ({
          value: id,
          $ref: `${base}/Groups/${id}`,
          display: display_name,
          type: 'direct',
        }))
      const { schema, extension } = resource
      const schemas = extension && row.attributes[extension.schema] ? [schema, extension.schema] : [schema]
      const whole = {
        schemas,
        id: row.id,
        ...(row.external_id === null ? {} : { externalId: row.external_id }),
        ...row.attributes,
        groups: within,
        meta: metaOf(resource.name, version, `${base}/Users/${row.id}`),
      }
      return { ...version, whole }
    })
  }

  #now(): string {
    return new Date(this.#parts.nowMs()).toISOString()
  }
}

/** Throws `invalidValue`. */
function draftOf(sent: Values): Draft {
  const attributes = read(resource, sent)
  const userName = readText('userName', attributes.userName ?? '', MAX_USER_NAME)
  if (userName.trim() === '') throw invalid('invalidValue', 'A user has a userName')
  return { externalId: externalIdOf(sent), attributes }
}

export function externalIdOf(sent: Values): string | undefined {
  const given = entryOf(sent, 'externalId')
  if (given === undefined || given === null || given === '') return undefined
  return readText('externalId', given, MAX_EXTERNAL_ID)
}

function columnsOf({ externalId, attributes }: Draft): [string, string | null, string] {
  return [keyOf(String(attributes.userName)), externalId ?? null, JSON.stringify(attributes)]
}

async function groupsOf(client: Pick<pg.Pool, 'query'>, users: readonly Row[]): Promise<GroupRow[]> {
  if (users.length === 0) return []
  const { rows } = await client.query<GroupRow>(
    `select m.user_id, g.id, g.display_name from scim_member m join scim_group g on g.id = m.group_id
     where m.user_id = any($1) order by g.display_key`,
    [users.map(({ id }) => id)],
  )
  return rows
}

function noUser(id: string): RegistryError {
  return new RegistryError('missing', `There is no user ${id.slice(0, 100)}`)
}
