/**
 * `fetch` for identity providers: sockets only where the guard allows, no redirect followed, replies whole and small, one deadline for
 * all of it. What the guard or a limit says reaches the caller as a `RegistryError`.
 */

import { collect } from '../../protocol/chunks.js'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Egress } from '../upstream/egress.js'

export interface GuardedFetchOptions {
  /** Of a reply. */
  maxBytes?: number
  /** Until the reply is whole. */
  deadlineMs?: number
}

const MAX_BYTES = 512 * 1024
const DEADLINE_MS = 10_000
const NO_BODY = new Set([204, 205, 304])

export function guardedFetch(
  egress: Pick<Egress, 'to'>,
  { maxBytes = MAX_BYTES, deadlineMs = DEADLINE_MS }: GuardedFetchOptions = {},
): typeof fetch {
  return async (input, init) => {
    const asked = new Request(input, { ...init, redirect: 'manual' })
    const url = new URL(asked.url)
    if (!/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
      throw new RegistryError('upstream', `${url.protocol}//${url.host} is not an address of an identity provider`)
    const body = new Uint8Array(await asked.arrayBuffer())
    try {
      const reply = await egress.to(url).request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: asked.method === 'POST' ? 'POST' : 'GET',
        headers: { ...Object.fromEntries(asked.headers), 'user-agent': 'cairn' },
        ...(body.length === 0 ? {} : { body }),
        signal: deadline(deadlineMs, asked.signal),
      })
      const tooLong = () =>
        new RegistryError('upstream', `The identity provider ${url.host} sent more than ${maxBytes} bytes`)
      const bytes = await collect(reply.body, maxBytes, tooLong)
      return new Response(NO_BODY.has(reply.statusCode) ? null : bytes, {
        status: reply.statusCode,
        headers: headersOf(reply.headers),
      })
    } catch (cause) {
      throw explained(cause, url)
    }
  }
}

function headersOf(headers: Record<string, string | string[] | undefined>): Headers {
  const all = new Headers()
  for (const [name, value] of Object.entries(headers)) for (const one of [value ?? []].flat()) all.append(name, one)
  return all
}

function explained(cause: unknown, url: URL): RegistryError {
  for (let error = cause; error instanceof Error; error = error.cause) if (error instanceof RegistryError) return error
  const late = cause instanceof Error && cause.name === 'TimeoutError'
  return new RegistryError(
    'unavailable',
    `The identity provider ${url.host} ${late ? 'does not answer' : 'cannot be reached'}`,
    {
      cause,
      retryAfter: 30,
      code: 'provider_unavailable',
    },
  )
}
