/** What becomes of a group's members by one request: its operations together, then written as the difference to what is there. */
import type pg from 'pg'
import { invalid } from './error.js'
import { fits } from './evaluate.js'
import type { Target } from './filter.js'
import type { Operation } from './patch.js'
import { objectOf, readText } from './resource.js'
import { memberCondition } from './sql.js'

const MAX_MEMBERS = 50_000

export class Membership {
  /** undefined: those who are there, without #left and with #come. */
  #all: Set<string> | undefined
  readonly #come = new Set<string>()
  readonly #left = new Set<string>()

  set(sent: unknown): this {
    this.#all = new Set(idsOf(sent))
    return this
  }

  async apply(
    client: pg.PoolClient,
    group: string,
    kind: Operation['kind'],
    target: Target,
    sent: unknown,
  ): Promise<void> {
    const { filter, sub } = target
    if (sub || (filter && kind !== 'remove'))
      throw invalid('invalidPath', 'Members are added, removed and replaced as a whole')
    if (filter) this.#remove([...(await chosen(client, group, target)), ...this.#pending(target)])
    else if (kind === 'add') this.#add(idsOf(sent))
    else if (kind === 'replace') this.set(sent)
    // Entra names those to be removed in the value.
    else if (sent !== undefined && sent !== null) this.#remove(idsOf(sent))
    else this.set([])
  }

  /** Who came or left. Throws `invalidValue` for whom the provider has not. */
  async write(client: pg.PoolClient, provider: string, group: string): Promise<string[]> {
    const left = this.#all
      ? await ids(
          client,
          'delete from scim_member where group_id = $1 and user_id not in (select unnest($2::text[])) returning user_id',
          [group, [...this.#all]],
        )
      : await ids(client, 'delete from scim_member where group_id = $1 and user_id = any($2) returning user_id', [
          group,
          [...this.#left],
        ])
    const wanted = [...(this.#all ?? this.#come)]
    await demandUsers(client, provider, wanted)
    const come = await ids(
      client,
      `insert into scim_member (group_id, user_id) select $1, unnest($2::text[]) on conflict do nothing returning user_id`,
      [group, wanted],
    )
    return [...left, ...come]
  }

  #add(users: string[]): void {
    for (const user of users) {
      this.#all?.add(user)
      this.#come.add(user)
      this.#left.delete(user)
    }
  }

  #remove(users: string[]): void {
    for (const user of users) {
      this.#all?.delete(user)
      this.#come.delete(user)
      this.#left.add(user)
    }
  }

  #pending({ filter }: Target): string[] {
    const elements = [...(this.#all ?? this.#come)].map((value) => ({ value, type: 'User' }))
    return elements.filter((element) => filter && fits(element, filter)).map(({ value }) => value)
  }
}

/** Throws `invalidValue`. */
function idsOf(sent: unknown): string[] {
  const list = sent === undefined || sent === null ? [] : [sent].flat()
  if (list.length > MAX_MEMBERS) throw invalid('tooMany', `There are more than ${MAX_MEMBERS} members`)
  return list.map((one) => {
    return readText('value', typeof one === 'string' ? one : objectOf(one, 'A member').value)
  })
}

async function chosen(client: pg.PoolClient, group: string, { filter }: Target): Promise<string[]> {
  if (!filter) return []
  const values: unknown[] = [group]
  const condition = memberCondition(filter, values)
  return ids(client, `select m.user_id from scim_member m where m.group_id = $1 and ${condition}`, values)
}

async function demandUsers(client: pg.PoolClient, provider: string, wanted: string[]): Promise<void> {
  const known = new Set(
    await ids(client, 'select id as user_id from scim_user where provider = $1 and id = any($2)', [provider, wanted]),
  )
  const stranger = wanted.find((id) => !known.has(id))
  if (stranger !== undefined) throw invalid('invalidValue', `There is no user ${stranger.slice(0, 100)} to be a member`)
}

async function ids(client: pg.PoolClient, sql: string, values: unknown[]): Promise<string[]> {
  const { rows } = await client.query<{ user_id: string }>(sql, values)
  return rows.map(({ user_id }) => user_id)
}
