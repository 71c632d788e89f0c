/** Logging in and out. A refusal says the same for an unknown user, a wrong password and a disabled account. */
import { z } from 'zod'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { API } from '../../protocol/api/reads.js'
import { time } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Metadata } from '../../protocol/ports.js'
import type { Session } from '../accounts/sessions.js'
import type { PrimaryAccounts } from '../accounts.js'

const sessionShape = z
  .object({
    access_token: z.string(),
    refresh_token: z.string(),
    token_type: z.literal('Bearer'),
    expires_in: z.number().int().meta({ description: 'Seconds' }),
  })
  .meta({ id: 'Session' })

const consoleSessionShape = z
  .object({
    id: z.string(),
    method: z.string().meta({ description: 'How the user was known: password, or the key of a provider' }),
    created_at: time,
    seen_at: time,
    remote: z.string(),
    agent: z.string(),
  })
  .meta({ id: 'ConsoleSession' })

const refreshToken = z.string().min(1).max(128)

export function authEndpoints(accounts: PrimaryAccounts, metadata: Pick<Metadata, 'access'>): Endpoint[] {
  return [...sessionEndpoints(accounts, metadata), ...consoleEndpoints(accounts)]
}

function sessionEndpoints(accounts: PrimaryAccounts, metadata: Pick<Metadata, 'access'>): Endpoint[] {
  return [
    endpoint({
      name: 'auth.login',
      method: 'POST',
      path: `${API}/auth/login`,
      summary: 'A session for user and password',
      access: 'anyone',
      body: z.strictObject({
        username: z.string().min(1).max(256),
        password: z.string().min(1).max(1024),
        code: z.string().min(1).max(64).optional().meta({ description: 'Of the second factor, where there is one' }),
      }),
      reply: sessionShape,
      handle: async ({ body: { username, password, code }, request, note }) => {
        // Only names that exist: people type passwords into the wrong field. The throttle keeps strangers from filling the trail.
        note.user = metadata.access('user', username)?.name ?? 'anonymous'
        return sessionJson(await accounts.signIn(username, password, request.remote, code))
      },
    }),
    endpoint({
      name: 'auth.refresh',
      method: 'POST',
      path: `${API}/auth/refresh`,
      summary: 'The next access and refresh token of a session',
      access: 'anyone',
      body: z.strictObject({ refresh_token: refreshToken }),
      reply: sessionShape,
      handle: async ({ body, note }) => {
        const session = await accounts.sessions.refresh(body.refresh_token)
        note.user = session.user.name
        return sessionJson(session)
      },
    }),
    endpoint({
      name: 'auth.logout',
      method: 'POST',
      path: `${API}/auth/logout`,
      summary: 'Ends the session of the access token, and that of the refresh token',
      access: 'anyone',
      body: z.strictObject({ refresh_token: refreshToken.optional() }),
      reply: 'empty',
      handle: async ({ body, principal }) => accounts.signOut(principal, body.refresh_token),
    }),
  ]
}

function consoleEndpoints({ console }: PrimaryAccounts): Endpoint[] {
  return [
    endpoint({
      name: 'sessions.list',
      method: 'GET',
      path: `${API}/auth/sessions`,
      summary: 'Your sessions of the console, newest first',
      access: 'authenticated',
      reply: z.object({ items: z.array(consoleSessionShape) }),
      handle: async ({ principal }) => {
        const sessions = await console.list(principal.name)
        return {
          items: sessions.map(({ id, method, createdAt, seenAt, remote, agent }) => ({
            ...{ id, method, remote, agent },
            created_at: createdAt,
            seen_at: seenAt,
          })),
        }
      },
    }),
    endpoint({
      name: 'sessions.end',
      method: 'DELETE',
      path: `${API}/auth/sessions/{id}`,
      summary: 'Ends one of your sessions of the console',
      access: 'authenticated',
      reply: 'empty',
      handle: async ({ principal, params }) => {
        if (!(await console.end(principal.name, params.id)))
          throw new RegistryError('missing', 'You have no such session')
      },
    }),
  ]
}

function sessionJson({ accessToken, refreshToken: refresh, expiresIn }: Session): z.input<typeof sessionShape> {
  return { access_token: accessToken, refresh_token: refresh, token_type: 'Bearer', expires_in: expiresIn }
}
