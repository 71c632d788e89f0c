/** Identity providers, for administrators. Secrets go in and never come out. */
import { z } from 'zod'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { API } from '../../protocol/api/reads.js'
import { time } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Federation } from '../identity/federation.js'
import type { ProviderRecord, Providers } from '../identity/providers.js'

const PATH = `${API}/identity-providers` as const
/** Sessions say by these names how they were opened. */
const RESERVED = new Set(['password', 'passkey'])
const key = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'a key is 1 to 32 of a-z, 0-9 and "-"')
  .refine((text) => !RESERVED.has(text), 'this key is reserved')
const title = z.string().min(1).max(100)
const settings = z.record(z.string().max(64), z.unknown())
const subject = z.string().min(1).max(512)

const providerShape = z
  .object({
    key: z.string(),
    kind: z.string(),
    title: z.string(),
    enabled: z.boolean(),
    settings: settings.meta({ description: 'Without the secret ones' }),
  })
  .meta({ id: 'IdentityProvider' })

const linkedShape = z
  .object({ subject: z.string(), username: z.string(), last_at: time })
  .meta({ id: 'LinkedIdentity' })

export function providerEndpoints(providers: Providers, federation: Federation): Endpoint[] {
  return [...configuration(providers), ...syncing(providers), ...identities(providers, federation)]
}

function configuration(providers: Providers): Endpoint[] {
  return [
    endpoint({
      name: 'providers.list',
      method: 'GET',
      path: PATH,
      summary: 'All identity providers, in the order in which passwords are tried',
      access: 'auditor',
      reply: z.object({ items: z.array(providerShape) }),
      handle: async () => ({ items: providers.list().map(shown) }),
    }),
    endpoint({
      name: 'providers.create',
      method: 'POST',
      path: PATH,
      summary: 'A new identity provider, if it works',
      access: 'administrator',
      body: z.strictObject({
        key,
        kind: z.string().max(16),
        title: title.optional(),
        enabled: z.boolean().default(true),
        settings,
      }),
      reply: providerShape,
      status: 201,
      handle: async ({ body, response, note }) => {
        note.created = body.key
        response.headers.location = `${PATH}/${body.key}`
        return shown(await providers.create({ ...body, title: body.title ?? body.key }))
      },
    }),
    endpoint({
      name: 'providers.get',
      method: 'GET',
      path: `${PATH}/{key}`,
      summary: 'One identity provider',
      access: 'auditor',
      reply: providerShape,
      handle: async ({ params }) => shown(providers.get(params.key)),
    }),
    endpoint({
      name: 'providers.update',
      method: 'PATCH',
      path: `${PATH}/{key}`,
      summary: 'Changes it, if it then works; settings as a whole, but secret ones that are left out stay',
      access: 'administrator',
      body: z.strictObject({
        title: title.optional(),
        enabled: z.boolean().optional(),
        settings: settings.optional(),
      }),
      reply: providerShape,
      handle: async ({ params, body }) => shown(await providers.update(params.key, body)),
    }),
    endpoint({
      name: 'providers.delete',
      method: 'DELETE',
      path: `${PATH}/{key}`,
      summary: 'Removes it; the accounts stay, without the groups that it gave them',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => providers.remove(params.key, principal.name),
    }),
    endpoint({
      name: 'providers.test',
      method: 'POST',
      path: `${PATH}/{key}/test`,
      summary: 'What is wrong with it, if anything; with a name, who that is there, and with a password, whose it is',
      access: 'administrator',
      body: z.strictObject({
        username: z.string().min(1).max(256).optional(),
        password: z.string().min(1).max(1024).optional(),
      }),
      reply: z.object({
        works: z.boolean(),
        reason: z.string().nullable(),
        identity: z
          .object({
            subject: z.string(),
            name: z.string(),
            email: z.string(),
            groups: z.array(z.string()).nullable().meta({ description: 'As the provider calls them' }),
          })
          .nullable(),
      }),
      handle: async ({ params, body }) => {
        providers.get(params.key)
        try {
          const identity = await providers.test(params.key, body.username, body.password)
          if (!identity) return { works: true, reason: null, identity: null }
          const { subject: sub, name, email, groups = null } = identity
          return { works: true, reason: null, identity: { subject: sub, name, email, groups } }
        } catch (error) {
          if (!(error instanceof RegistryError)) throw error
          return { works: false, reason: error.message, identity: null }
        }
      },
    }),
  ]
}

function syncing(providers: Providers): Endpoint[] {
  return [
    endpoint({
      name: 'providers.sync',
      method: 'POST',
      path: `${PATH}/{key}/sync`,
      summary: 'Brings its accounts to what the provider says now: groups, and who is gone',
      access: 'administrator',
      body: z.strictObject({
        force: z.boolean().default(false).meta({ description: 'However many accounts are to be deactivated' }),
      }),
      reply: z.object({
        accounts: z.number().int(),
        deactivated: z.array(z.string()),
        reactivated: z.array(z.string()),
        kept: z.array(z.string()).meta({ description: 'Gone, but there would be no administrator without them' }),
      }),
      handle: async ({ params, body, note }) => {
        const synced = await providers.sync(params.key, body.force)
        note.deactivated = synced.deactivated.length
        return synced
      },
    }),
  ]
}

function identities(providers: Providers, federation: Federation): Endpoint[] {
  return [
    endpoint({
      name: 'identities.list',
      method: 'GET',
      path: `${PATH}/{key}/identities`,
      summary: "Which accounts the provider's subjects are",
      access: 'auditor',
      reply: z.object({ items: z.array(linkedShape) }),
      handle: async ({ params }) => {
        providers.get(params.key)
        const linked = await federation.linked(params.key)
        return {
          items: linked.map(({ subject: sub, user, lastAt }) => ({ subject: sub, username: user, last_at: lastAt })),
        }
      },
    }),
    endpoint({
      name: 'identities.link',
      method: 'POST',
      path: `${PATH}/{key}/identities`,
      summary: 'From now on the subject is this account',
      access: 'administrator',
      body: z.strictObject({ subject, username: z.string().min(1).max(63) }),
      reply: 'empty',
      handle: async ({ params, body, note }) => {
        providers.get(params.key)
        note.subject = body.subject
        note.linked = body.username
        await federation.link(params.key, body.subject, body.username)
      },
    }),
    endpoint({
      name: 'identities.unlink',
      method: 'DELETE',
      path: `${PATH}/{key}/identities/{subject*}`,
      summary: 'The account stays, without the groups that the provider gave it',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => {
        if (!(await federation.unlink(params.key, params.subject, principal.name)))
          throw new RegistryError('missing', `${params.key} has no such subject here`)
      },
    }),
  ]
}

function shown({
  key: id,
  kind,
  title: name,
  enabled,
  settings: chosen,
}: ProviderRecord): z.input<typeof providerShape> {
  return { key: id, kind, title: name, enabled, settings: chosen }
}
