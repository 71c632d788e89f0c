/** Grants: who may do what in which repositories. For administrators of the system. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { BUILT_IN_ROLES } from '../../protocol/access/roles.js'
import { byGrant, isEverybody, isForEverybody } from '../../protocol/access/rule.js'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { pageFrom, pageOf, pageQuery } from '../../protocol/api/page.js'
import { API } from '../../protocol/api/reads.js'
import { actions } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Ledger } from '../../protocol/ledger.js'
import type { Metadata } from '../../protocol/ports.js'
import { type Action, FLEET, type GrantRecord } from '../../protocol/records.js'

const pattern = z
  .string()
  .regex(/^[a-z0-9._*-]{1,63}$/, 'must be a repository key, or a pattern of such with "*"')
  .meta({ description: 'A repository key, or a pattern with "*"' })
const path = z
  .string()
  .max(1024)
  .regex(/^[^\p{Cc}\\]*$/u, 'must not hold control characters or backslashes')
  .meta({
    description:
      'Only paths that begin with it, "*" being any run of characters. End it with a slash to mean a folder; empty is all',
  })
const actionList = z.array(actions).min(1).max(5)
const role = z.string().min(1).max(63).meta({ description: 'Instead of actions' })
const effect = z
  .enum(['allow', 'deny'])
  .meta({ description: 'A deny overrides every allow, but not what an administrator of the system may' })
const subjectName = z.string().min(1).max(128)

const grantShape = z
  .object({
    id: z.string(),
    user: z.string().nullable(),
    group: z.string().nullable(),
    token: z.string().nullable(),
    repository: z.string(),
    path: z.string(),
    effect,
    role: z.string().nullable(),
    actions: z.array(actions).meta({ description: 'Those of the role, where there is one' }),
  })
  .meta({ id: 'Grant' })

const draft = z.strictObject({
  user: subjectName.optional(),
  group: subjectName.optional(),
  token: subjectName.optional().meta({ description: "A token's id; only to forbid: it never may more than its user" }),
  repository: pattern.optional(),
  pattern: pattern.optional().meta({ description: 'Another name for `repository`' }),
  path: path.optional(),
  effect: effect.default('allow'),
  role: role.optional(),
  actions: actionList.optional(),
})

export function grantEndpoints(metadata: Metadata, ledger: Ledger): Endpoint[] {
  const write = (id: string, record: GrantRecord | null, by: string) =>
    ledger.commit({ scope: FLEET, steps: [{ kind: 'access', subject: 'grant', id, record }], by })
  return [
    endpoint({
      name: 'grants.list',
      method: 'GET',
      path: `${API}/grants`,
      summary: 'All grants',
      access: 'auditor',
      query: pageQuery.extend({
        user: subjectName.optional(),
        group: subjectName.optional(),
        token: subjectName.optional(),
        repository: pattern.optional(),
      }),
      reply: pageOf(grantShape),
      handle: async ({ query }) => {
        const all = metadata.accessAll('grant').filter((grant) => isWanted(grant, query))
        const { items, next } = pageFrom(
          all.sort((a, b) => (a.id < b.id ? -1 : 1)),
          (grant) => grant.id,
          query,
        )
        return { items: items.map((grant) => grantJson(grant, metadata)), next }
      },
    }),
    endpoint({
      name: 'grants.create',
      method: 'POST',
      path: `${API}/grants`,
      summary:
        'Lets a user or group act on repositories, or forbids a user, group or token to; the user anonymous is everybody',
      access: 'administrator',
      body: draft,
      reply: grantShape,
      status: 201,
      handle: async ({ body, principal, note, response }) => {
        const subject = subjectOf(body, metadata)
        const record: GrantRecord = {
          id: randomUUID(),
          subject,
          repository: repositoryOf(body),
          path: body.path ?? '',
          ...namedBy(body, body.effect, metadata),
        }
        refuseIdle(record, metadata)
        Object.assign(note, {
          subject: `${subject.kind} ${subject.name}`,
          repository: record.repository,
          effect: body.effect,
          actions: record.role ?? byGrant(record, metadata).actions.join(' '),
        })
        await write(record.id, record, principal.name)
        response.headers.location = `${API}/grants/${record.id}`
        return grantJson(record, metadata)
      },
    }),
    endpoint({
      name: 'grants.get',
      method: 'GET',
      path: `${API}/grants/{id}`,
      summary: 'One grant',
      access: 'auditor',
      reply: grantShape,
      handle: async ({ params }) => grantJson(existing(metadata, params.id), metadata),
    }),
    endpoint({
      name: 'grants.update',
      method: 'PATCH',
      path: `${API}/grants/{id}`,
      summary: 'Changes what a grant allows or forbids; to whom stays as it is',
      access: 'administrator',
      body: z.strictObject({
        repository: pattern.optional(),
        path: path.optional(),
        role: role.optional(),
        actions: actionList.optional(),
      }),
      reply: grantShape,
      handle: async ({ params, body, principal }) => {
        const before = existing(metadata, params.id)
        const asBefore = body.role === undefined && body.actions === undefined
        const record: GrantRecord = {
          ...(asBefore
            ? before
            : { id: before.id, subject: before.subject, ...namedBy(body, before.effect, metadata) }),
          repository: body.repository ?? before.repository,
          path: body.path ?? before.path,
        }
        refuseIdle(record, metadata)
        await write(record.id, record, principal.name)
        return grantJson(record, metadata)
      },
    }),
    endpoint({
      name: 'grants.delete',
      method: 'DELETE',
      path: `${API}/grants/{id}`,
      summary: 'Takes a grant back',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => {
        await write(existing(metadata, params.id).id, null, principal.name)
      },
    }),
  ]
}

function existing(metadata: Metadata, id: string): GrantRecord {
  const grant = metadata.access('grant', id)
  if (!grant) throw new RegistryError('missing', `There is no grant ${id}`)
  return grant
}

function subjectOf({ user, group, token }: z.output<typeof draft>, metadata: Metadata): GrantRecord['subject'] {
  if ([user, group, token].filter((name) => name !== undefined).length !== 1)
    throw new RegistryError('invalid', 'A grant is for exactly one of user, group and token')
  if (group !== undefined) return { kind: 'group', name: group }
  const kind = user === undefined ? 'token' : 'user'
  const name = user ?? token ?? ''
  // A grant to nobody would wait for whoever takes the name.
  if (!metadata.access(kind, name) && name !== 'anonymous')
    throw new RegistryError('invalid', `There is no ${kind} ${name}`)
  return { kind, name }
}

/** By actions or by role. Throws `invalid` for both, for neither, and for a role that is not there. */
function namedBy(
  { role: named, actions: listed }: { role?: string | undefined; actions?: Action[] | undefined },
  how: 'allow' | 'deny' | undefined,
  metadata: Metadata,
): Pick<GrantRecord, 'actions' | 'role' | 'effect' | 'denied'> {
  const denies = how === 'deny' ? { effect: how } : {}
  if ((named === undefined) === (listed === undefined))
    throw new RegistryError('invalid', 'A grant names actions, or a role')
  const once = [...new Set(listed)]
  if (named === undefined) return how === 'deny' ? { ...denies, actions: [], denied: once } : { actions: once }
  if (!BUILT_IN_ROLES.has(named) && !metadata.access('role', named))
    throw new RegistryError('invalid', `There is no role ${named}`, { code: 'role_missing' })
  return { ...denies, role: named, actions: [] }
}

/** Throws `invalid` for a grant that would do nothing, or that nobody can mean. */
function refuseIdle(grant: GrantRecord, metadata: Metadata): void {
  if (grant.effect === 'deny') return
  if (grant.subject.kind === 'token')
    throw new RegistryError(
      'invalid',
      'A token never may more than its user: grant it to the user, and narrow the token by its scopes',
    )
  if (isEverybody(grant.subject) && !isForEverybody(byGrant(grant, metadata).actions))
    throw new RegistryError('invalid', 'Everybody can be let read, write and delete, no more')
}

function repositoryOf({ repository, pattern: other }: z.output<typeof draft>): string {
  if ((repository === undefined) === (other === undefined))
    throw new RegistryError('invalid', 'A grant names a repository, or a pattern with "*"')
  return repository ?? other ?? ''
}

function isWanted(
  { subject, repository }: GrantRecord,
  query: {
    user?: string | undefined
    group?: string | undefined
    token?: string | undefined
    repository?: string | undefined
  },
): boolean {
  const { user, group, token } = query
  const asked: [GrantRecord['subject']['kind'], string | undefined][] = [
    ['user', user],
    ['group', group],
    ['token', token],
  ]
  return (
    asked.every(([kind, name]) => name === undefined || (subject.kind === kind && subject.name === name)) &&
    (query.repository === undefined || query.repository === repository)
  )
}

function grantJson(grant: GrantRecord, metadata: Metadata): z.input<typeof grantShape> {
  const { id, subject, repository, path: below, role: named, effect: how } = grant
  return {
    id,
    user: subject.kind === 'user' ? subject.name : null,
    group: subject.kind === 'group' ? subject.name : null,
    token: subject.kind === 'token' ? subject.name : null,
    repository,
    path: below,
    effect: how ?? 'allow',
    role: named ?? null,
    actions: [...byGrant(grant, metadata).actions],
  }
}
