/** Users, for administrators; everybody sees and changes the password of themselves. */
import { z } from 'zod'
import type { Gate } from '../../protocol/access/gate.js'
import { refusal } from '../../protocol/access/refusal.js'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { pageFrom, pageOf, pageQuery } from '../../protocol/api/page.js'
import { API } from '../../protocol/api/reads.js'
import { time, userJson, userShape } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Metadata } from '../../protocol/ports.js'
import type { PrimaryAccounts } from '../accounts.js'

const email = z.union([z.literal(''), z.email().max(254)])
const groups = z
  .array(
    z
      .string()
      .min(1)
      .max(128)
      .regex(/^[^\p{Cc}]+$/u, 'a group name has no control characters'),
  )
  .max(200)
const password = z.string().min(1).max(1024)
const passkeyShape = z
  .object({ id: z.string(), name: z.string(), created_at: time, last_used_at: time.nullable() })
  .meta({ id: 'Passkey' })

export function userEndpoints(accounts: PrimaryAccounts, metadata: Metadata, gate: Gate): Endpoint[] {
  const { users, passkeys } = accounts
  return [
    endpoint({
      name: 'users.list',
      method: 'GET',
      path: `${API}/users`,
      summary: 'All users',
      access: 'auditor',
      query: pageQuery.extend({
        prefix: z.string().max(63).optional().meta({ description: 'What the names begin with' }),
      }),
      reply: pageOf(userShape),
      handle: async ({ query }) => {
        const { prefix = '' } = query
        const wanted = metadata.accessAll('user').filter(({ name }) => name.startsWith(prefix))
        const all = wanted.sort((a, b) => (a.name < b.name ? -1 : 1))
        const { items, next } = pageFrom(all, (user) => user.name, query)
        return { items: items.map(userJson), next }
      },
    }),
    endpoint({
      name: 'users.create',
      method: 'POST',
      path: `${API}/users`,
      summary: 'A new user; without a password only tokens let it in',
      access: 'administrator',
      body: z.strictObject({
        username: z.string().min(1).max(63),
        password: password.optional(),
        email: email.optional(),
        is_admin: z.boolean().optional(),
        groups: groups.optional(),
      }),
      reply: userShape,
      status: 201,
      handle: async ({ body, principal, response, note }) => {
        note.created = body.username
        const draft = {
          name: body.username,
          password: body.password,
          email: body.email,
          admin: body.is_admin,
          groups: body.groups,
        }
        const user = await users.create(draft, principal.name)
        response.headers.location = `${API}/users/${user.name}`
        return userJson(user)
      },
    }),
    endpoint({
      name: 'users.get',
      method: 'GET',
      path: `${API}/users/{username}`,
      summary: 'One user',
      access: 'authenticated',
      reply: userShape,
      handle: async ({ params, principal }) => {
        const visible = gate.mayAudit(principal) || principal.user?.name === params.username
        const user = visible ? metadata.access('user', params.username) : undefined
        if (!user) throw new RegistryError('missing', `There is no user ${params.username} that you may see`)
        return userJson(user)
      },
    }),
    endpoint({
      name: 'users.update',
      method: 'PATCH',
      path: `${API}/users/{username}`,
      summary: 'Changes a user; disabling ends its sessions',
      access: 'administrator',
      body: z.strictObject({
        email: email.optional(),
        is_admin: z.boolean().optional(),
        is_disabled: z.boolean().optional(),
        groups: groups.optional(),
      }),
      reply: userShape,
      handle: async ({ params, body, principal }) => {
        const changes = { email: body.email, admin: body.is_admin, disabled: body.is_disabled, groups: body.groups }
        return userJson(await users.update(params.username, changes, principal.name))
      },
    }),
    endpoint({
      name: 'users.delete',
      method: 'DELETE',
      path: `${API}/users/{username}`,
      summary: 'Removes a user with its tokens, grants and sessions',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => users.remove(params.username, principal.name),
    }),
    endpoint({
      name: 'users.end_sessions',
      method: 'DELETE',
      path: `${API}/users/{username}/sessions`,
      summary: 'Ends all sessions of a user; API tokens stay',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => users.endSessions(params.username, principal.name),
    }),
    endpoint({
      name: 'users.remove_second_factor',
      method: 'DELETE',
      path: `${API}/users/{username}/second-factor`,
      summary: 'Turns the second factor of a user off who lost it',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params }) => users.removeSecondFactor(params.username),
    }),
    endpoint({
      name: 'users.passkeys',
      method: 'GET',
      path: `${API}/users/{username}/passkeys`,
      summary: 'The passkeys of a user, who makes them at the console',
      access: 'auditor',
      reply: z.object({ items: z.array(passkeyShape) }),
      handle: async ({ params }) => ({
        items: (await passkeys.list(params.username)).map(({ id, name, createdAt, usedAt }) => ({
          id,
          name,
          created_at: createdAt,
          last_used_at: usedAt ?? null,
        })),
      }),
    }),
    endpoint({
      name: 'users.remove_passkey',
      method: 'DELETE',
      path: `${API}/users/{username}/passkeys/{id}`,
      summary: 'Removes a passkey of a user, and ends the sessions that it opened',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params }) => {
        if (!(await passkeys.remove(params.username, params.id)))
          throw new RegistryError('missing', `${params.username} has no such passkey`)
      },
    }),
    endpoint({
      name: 'users.set_password',
      method: 'PUT',
      path: `${API}/users/{username}/password`,
      summary: 'Sets a password and ends the sessions; for oneself the current one is needed',
      access: 'authenticated',
      body: z.strictObject({ password, current_password: password.optional() }),
      reply: 'empty',
      handle: async ({ params, body, principal, request }) => {
        if (principal.user?.name === params.username)
          await confirm(accounts, params.username, body.current_password, request.remote)
        else if (!gate.mayAdminister(principal))
          throw refusal(gate, principal, 'Only an administrator can set the password of others.')
        await users.setPassword(params.username, body.password, principal.name)
      },
    }),
  ]
}

async function confirm(
  accounts: PrimaryAccounts,
  user: string,
  current: string | undefined,
  remote: string,
): Promise<void> {
  if (current === undefined)
    throw new RegistryError('invalid', 'current_password is needed to change your own password')
  if (!(await accounts.hasPassword(user, current, remote)))
    throw new RegistryError('forbidden', 'The current password is wrong')
}
