/** Keyless CI: rules about whom to trust, and the exchange of what an issuer signed for a token of ours. */
import { z } from 'zod'
import { check, readForm } from '../../protocol/api/body.js'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { API } from '../../protocol/api/reads.js'
import { RegistryError } from '../../protocol/errors.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { statusOf } from '../../protocol/http/status.js'
import type { Metadata } from '../../protocol/ports.js'
import type { Exchange, Exchanged } from '../workload/exchange.js'
import { trustRule } from '../workload/rule.js'
import type { TrustRules } from '../workload/rules.js'

const PATH = `${API}/trust-rules` as const
const key = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a key is 1 to 63 of a-z, 0-9 and "-"')
const ruleShape = trustRule.extend({ key: z.string() }).meta({ id: 'TrustRule' })

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const SUBJECT_TYPES = ['urn:ietf:params:oauth:token-type:id_token', 'urn:ietf:params:oauth:token-type:jwt'] as const

export function trustEndpoints(rules: TrustRules, exchange: Exchange, metadata: Pick<Metadata, 'access'>): Endpoint[] {
  return [
    endpoint({
      name: 'trust.list',
      method: 'GET',
      path: PATH,
      summary: 'All trust rules, in the order in which they are tried',
      access: 'auditor',
      reply: z.object({ items: z.array(ruleShape) }),
      handle: async () => ({ items: rules.list().map(({ key: name, rule }) => ({ ...rule, key: name })) }),
    }),
    endpoint({
      name: 'trust.put',
      method: 'PUT',
      path: `${PATH}/{key}`,
      summary: 'Makes a trust rule, or replaces it',
      access: 'administrator',
      body: trustRule,
      reply: 'empty',
      handle: async ({ params, body }) => {
        const name = check(params.key, key, 'key')
        const account = metadata.access('user', body.account)
        if (!account) throw new RegistryError('invalid', `There is no user ${body.account}`)
        if (account.admin) throw new RegistryError('invalid', `${body.account} is an administrator; no workload may be`)
        await rules.put(name, body)
      },
    }),
    endpoint({
      name: 'trust.delete',
      method: 'DELETE',
      path: `${PATH}/{key}`,
      summary: 'Removes a trust rule; tokens that it gave end by themselves',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params }) => rules.remove(params.key),
    }),
    endpoint({
      name: 'auth.exchange',
      method: 'POST',
      path: `${API}/auth/oidc/exchange`,
      summary: "A short token for a workload's OpenID token, by the first trust rule that admits it",
      access: 'anyone',
      body: z.strictObject({
        token: z.string().min(1).max(16_384),
        rule: key.optional().meta({ description: 'Only by this one' }),
        scopes: z
          .array(z.string().max(100))
          .min(1)
          .max(50)
          .optional()
          .meta({ description: 'Less than the rule gives' }),
      }),
      reply: z
        .object({
          access_token: z.string(),
          token_type: z.literal('Bearer'),
          expires_in: z.number().int().meta({ description: 'Seconds' }),
          username: z.string(),
          scopes: z.array(z.string()),
        })
        .meta({ id: 'ExchangedToken' }),
      handle: async ({ body, request }) => {
        const { value, token, expiresInSeconds } = await exchange.exchange({ ...body, ...seen(request) })
        const { user, scopes } = token
        return {
          access_token: value,
          token_type: 'Bearer' as const,
          expires_in: expiresInSeconds,
          username: user,
          scopes,
        }
      },
    }),
    endpoint({
      name: 'auth.token_exchange',
      method: 'POST',
      path: `${API}/auth/oidc/token`,
      summary: 'The same as a form, as RFC 8693 has it',
      access: 'anyone',
      body: 'stream',
      reply: 'raw',
      handle: async ({ request }) => tokenExchange(exchange, request),
    }),
  ]
}

/** Errors as RFC 6749 section 5.2 has them. */
async function tokenExchange(exchange: Exchange, request: HttpRequest): Promise<Reply> {
  const form = await readForm(request)
  const wrong = (error: string, sentence: string, status = 400) =>
    json({ error, error_description: sentence }, status, { 'cache-control': 'no-store' })
  if (form.get('grant_type') !== TOKEN_EXCHANGE)
    return wrong('unsupported_grant_type', `grant_type must be ${TOKEN_EXCHANGE}`)
  if (!SUBJECT_TYPES.some((type) => type === form.get('subject_token_type')))
    return wrong('invalid_request', `subject_token_type must be one of ${SUBJECT_TYPES.join(', ')}`)
  try {
    const scopes = form.get('scope')?.split(' ')
    return granted(await exchange.exchange({ token: form.get('subject_token') ?? '', scopes, ...seen(request) }))
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    const status = statusOf(error)
    return status >= 500
      ? Promise.reject(error)
      : wrong(error.code === 'scope_exceeded' ? 'invalid_scope' : 'invalid_grant', error.message)
  }
}

function granted({ value, token, expiresInSeconds }: Exchanged): Reply {
  const reply = {
    access_token: value,
    issued_token_type: ACCESS_TOKEN,
    token_type: 'Bearer',
    expires_in: expiresInSeconds,
    scope: token.scopes.join(' '),
  }
  return json(reply, 200, { 'cache-control': 'no-store' })
}

function seen({ origin, remote, id }: HttpRequest): { origin: string; remote: string; requestId: string } {
  return { origin, remote, requestId: id }
}
