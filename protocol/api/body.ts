/**
 * Reads a JSON body: UTF-8, at most 1 MiB unless said otherwise, within half a minute, exactly the fields that the schema knows; and what a page's
 * form sends.
 */
import type { z } from 'zod'
import { bounded } from '../blobs/bounded.js'
import { collect } from '../chunks.js'
import { RegistryError } from '../errors.js'
import type { HttpRequest } from '../http/request.js'

const MAX_JSON_BYTES = 1024 * 1024
const MAX_FORM_BYTES = 64 * 1024
const DEADLINE_MS = 30_000
const MAX_PROBLEMS = 3

/** Throws `invalid` with the first few things that are wrong, or `too_large`. */
export async function readJson<T>(request: HttpRequest, schema: z.ZodType<T>, maxBytes = MAX_JSON_BYTES): Promise<T> {
  const type = request.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== undefined && type !== 'application/json' && !type.endsWith('+json'))
    throw new RegistryError('invalid', 'The body must be application/json', { code: 'content_type' })
  if ((request.headers.get('content-encoding') ?? 'identity') !== 'identity')
    throw new RegistryError('invalid', 'The body must not be encoded', { code: 'content_encoding' })
  return check(parse(await readAll(request, maxBytes)), schema, 'body')
}

/** The fields of a form; of a name that comes twice the first. Throws `invalid` or `too_large`. */
export async function readForm(request: HttpRequest, maxBytes = MAX_FORM_BYTES): Promise<URLSearchParams> {
  const type = request.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded')
    throw new RegistryError('invalid', 'The body must be a form', { code: 'content_type' })
  return new URLSearchParams((await readAll(request, maxBytes)).toString('utf8'))
}

/** `what`: 'body' or 'query', for the sentence. */
export function check<T>(value: unknown, schema: z.ZodType<T>, what: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.slice(0, MAX_PROBLEMS).map((issue) => {
    const at = issue.path.map(String).join('.')
    return at === '' ? issue.message : `${at.slice(0, 100)}: ${issue.message}`
  })
  throw new RegistryError('invalid', `The ${what} is not right. ${problems.join('; ')}`.slice(0, 1000), {
    code: `${what}_invalid`,
  })
}

async function readAll(request: HttpRequest, limit: number): Promise<Buffer> {
  if ((request.length ?? 0) > limit) throw new RegistryError('too_large', `The body is larger than ${limit} bytes`)
  const late = new AbortController()
  const timer = setTimeout(
    () => late.abort(new RegistryError('invalid', 'The body did not arrive in time', { code: 'body_timeout' })),
    DEADLINE_MS,
  )
  try {
    return await collect(bounded(request.body, limit, late.signal))
  } finally {
    clearTimeout(timer)
  }
}

function parse(bytes: Buffer): unknown {
  if (bytes.length === 0) return {}
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new RegistryError('invalid', 'The body is not JSON in UTF-8', { cause, code: 'body_invalid' })
  }
}
