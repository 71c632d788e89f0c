/**
 * The pages' one way to what they show and change: the REST interface of the primary, in process, as the visitor. Whatever may be
 * decided, checked or written down is decided, checked and written down there. What changes something can be had only for a form
 * of the visitor's own session.
 */
import type { z } from 'zod'
import type { Api } from '../protocol/api/serve.js'
import { RegistryError } from '../protocol/errors.js'
import type { Reply } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import { kindOf } from '../protocol/http/status.js'
import type { Console, Visitor } from './console.js'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
export type Query = Record<string, string | undefined>

/** What can be read. Everything here throws what REST refuses, as a `RegistryError`. */
export interface Reading {
  get<T>(path: string, schema: z.ZodType<T>, query?: Query): Promise<T>
  /** undefined: it is not there, or not for this visitor. */
  find<T>(path: string, schema: z.ZodType<T>, query?: Query): Promise<T | undefined>
}

/** What can be changed, too. The answer to what has none is undefined. */
export interface Changing extends Reading {
  send(method: Exclude<Method, 'GET'>, path: string, body?: object): Promise<unknown>
}

export function reading(api: Api, request: HttpRequest, visitor: Visitor): Reading {
  const get = async <T>(path: string, schema: z.ZodType<T>, query: Query = {}) =>
    schema.parse(await call(api, request, visitor, { method: 'GET', path, query }))
  const find = async <T>(path: string, schema: z.ZodType<T>, query?: Query) => {
    try {
      return await get(path, schema, query)
    } catch (error) {
      if (error instanceof RegistryError && (error.kind === 'forbidden' || error.kind === 'missing')) return undefined
      throw error
    }
  }
  return { get, find }
}

/** Throws `forbidden` for a form that was not made for the visitor's session, or comes from another origin. */
export function changing(
  { rest, console }: { rest: Api; console: Pick<Console, 'demandOwn'> },
  request: HttpRequest,
  visitor: Visitor,
  form: URLSearchParams,
): Changing {
  console.demandOwn(request, visitor, form.get('csrf') ?? '')
  return {
    ...reading(rest, request, visitor),
    send: (method, path, body) => call(rest, request, visitor, { method, path, query: {}, body }),
  }
}

/** A path of REST. Values are one segment each, whatever is in them: one that is several is refused. */
export function api(parts: TemplateStringsArray, ...values: string[]): string {
  const segment = (value: string) => {
    if (value === '' || value === '.' || value === '..' || value.includes('/'))
      throw new RegistryError('invalid', value === '' ? 'A name is missing' : `${value} cannot be a name here`)
    return encodeURIComponent(value)
  }
  return `/api/v1${String.raw({ raw: parts }, ...values.map(segment))}`
}

interface Call {
  method: Method
  path: string
  query: Query
  body?: object | undefined
}

async function call(
  rest: Api,
  request: HttpRequest,
  { principal }: Visitor,
  { method, path, query, body }: Call,
): Promise<unknown> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
  // Where the page's request comes from counts there as well. The cookie is left behind.
  const headers = ['origin', 'sec-fetch-site', 'user-agent'].flatMap((name): [string, string][] => {
    const value = request.headers.get(name)
    return value === undefined ? [] : [[name, value]]
  })
  const inner: HttpRequest = {
    id: request.id,
    method,
    path,
    query: queryOf(query),
    headers: new Map(bytes ? [...headers, ['content-type', 'application/json']] : headers),
    length: bytes?.length ?? 0,
    body: once(bytes),
    signal: request.signal,
    remote: request.remote,
    origin: request.origin,
  }
  const reply = await rest(inner, principal)
  if (!reply) throw new RegistryError('missing', `There is nothing at ${path}`)
  return documentOf(reply)
}

function documentOf({ status, body }: Reply): unknown {
  if (status >= 400) throw new RegistryError(kindOf(status) ?? 'invalid', `The request was refused with ${status}`)
  return typeof body === 'string' && body !== '' ? JSON.parse(body) : undefined
}

/** What was left empty in a form is not asked for. */
export function queryOf(query: Query): string {
  const given = Object.entries(query).flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : []))
  return new URLSearchParams(given).toString()
}

async function* once(bytes: Uint8Array | undefined): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes) yield bytes
}
