/** Groups and one's own roles. For administrators; auditors see them. */
import { z } from 'zod'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { pageFrom, pageOf, pageQuery } from '../../protocol/api/page.js'
import { API } from '../../protocol/api/reads.js'
import { actions, time } from '../../protocol/api/shapes.js'
import type { Group, Groups } from '../accounts/groups.js'
import type { Roles } from '../accounts/roles.js'

const groupName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\p{Cc}/]+$/u, 'a group name has no control characters and no slash')
const roleName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, ".", "_" and "-"')
const description = z.string().max(4000)
const actionList = z
  .array(actions)
  .min(1)
  .transform((list) => [...new Set(list)])

const groupShape = z
  .object({
    name: z.string(),
    description: z.string(),
    members: z.number().meta({ description: 'How many' }),
    created_at: time
      .nullable()
      .meta({ description: 'Null: only its members tell of it, as an identity provider named it' }),
  })
  .meta({ id: 'Group' })
const groupDetailShape = groupShape.extend({ members: z.array(z.string()) }).meta({ id: 'GroupDetail' })

const roleShape = z
  .object({ name: z.string(), description: z.string(), actions: z.array(actions), is_built_in: z.boolean() })
  .meta({ id: 'Role' })

export function groupEndpoints(groups: Groups): Endpoint[] {
  return [
    endpoint({
      name: 'groups.list',
      method: 'GET',
      path: `${API}/groups`,
      summary: 'All groups',
      access: 'auditor',
      query: pageQuery,
      reply: pageOf(groupShape),
      handle: async ({ query }) => {
        const { items, next } = pageFrom(groups.list(), (group) => group.name, query)
        return { items: items.map((group) => ({ ...groupJson(group), members: group.members.length })), next }
      },
    }),
    endpoint({
      name: 'groups.create',
      method: 'POST',
      path: `${API}/groups`,
      summary: 'A new group',
      access: 'administrator',
      body: z.strictObject({ name: groupName, description: description.default('') }),
      reply: groupDetailShape,
      status: 201,
      handle: async ({ body, principal, response, note }) => {
        note.created = body.name
        response.headers.location = `${API}/groups/${encodeURIComponent(body.name)}`
        return groupJson(await groups.create(body.name, body.description, principal.name))
      },
    }),
    endpoint({
      name: 'groups.get',
      method: 'GET',
      path: `${API}/groups/{name}`,
      summary: 'One group with its members',
      access: 'auditor',
      reply: groupDetailShape,
      handle: async ({ params }) => groupJson(groups.get(params.name)),
    }),
    endpoint({
      name: 'groups.update',
      method: 'PATCH',
      path: `${API}/groups/{name}`,
      summary: 'Describes a group',
      access: 'administrator',
      body: z.strictObject({ description }),
      reply: groupDetailShape,
      handle: async ({ params, body, principal }) =>
        groupJson(await groups.describe(params.name, body.description, principal.name)),
    }),
    endpoint({
      name: 'groups.delete',
      method: 'DELETE',
      path: `${API}/groups/{name}`,
      summary: 'Removes a group with what was granted to it; its members stay',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => groups.remove(params.name, principal.name),
    }),
    endpoint({
      name: 'groups.add_member',
      method: 'PUT',
      path: `${API}/groups/{name}/members/{username}`,
      summary: 'Puts a user in a group',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => groups.setMember(params.name, params.username, true, principal.name),
    }),
    endpoint({
      name: 'groups.remove_member',
      method: 'DELETE',
      path: `${API}/groups/{name}/members/{username}`,
      summary: 'Takes a user out of a group',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => groups.setMember(params.name, params.username, false, principal.name),
    }),
  ]
}

export function roleEndpoints(roles: Roles): Endpoint[] {
  return [
    endpoint({
      name: 'roles.list',
      method: 'GET',
      path: `${API}/roles`,
      summary: 'Roles: the built-in ones, then your own',
      access: 'authenticated',
      reply: z.object({ items: z.array(roleShape) }),
      handle: async () => ({
        items: roles.list().map(({ name, description: said, actions: named, builtIn }) => ({
          name,
          description: said,
          actions: named,
          is_built_in: builtIn,
        })),
      }),
    }),
    endpoint({
      name: 'roles.create',
      method: 'POST',
      path: `${API}/roles`,
      summary: 'A new role',
      access: 'administrator',
      body: z.strictObject({ name: roleName, description: description.default(''), actions: actionList }),
      reply: roleShape,
      status: 201,
      handle: async ({ body, principal, note }) => {
        note.created = body.name
        const { name, description: said, actions: named } = await roles.create(body, principal.name)
        return { name, description: said, actions: named, is_built_in: false }
      },
    }),
    endpoint({
      name: 'roles.update',
      method: 'PATCH',
      path: `${API}/roles/{name}`,
      summary: 'Changes one of your own roles, for everybody who has it',
      access: 'administrator',
      body: z.strictObject({ description: description.optional(), actions: actionList.optional() }),
      reply: roleShape,
      handle: async ({ params, body, principal }) => {
        const { name, description: said, actions: named } = await roles.update(params.name, body, principal.name)
        return { name, description: said, actions: named, is_built_in: false }
      },
    }),
    endpoint({
      name: 'roles.delete',
      method: 'DELETE',
      path: `${API}/roles/{name}`,
      summary: 'Removes one of your own roles, which nobody has',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => roles.remove(params.name, principal.name),
    }),
  ]
}

function groupJson({ name, description: said, createdAt, members }: Group): z.input<typeof groupDetailShape> {
  return { name, description: said, members, created_at: createdAt ?? null }
}
