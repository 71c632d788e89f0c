/**
 * JSON from outside. The result holds no own `__proto__` key at any depth, so that copying it can never change a prototype;
 * whoever looks a name up in it that a client chose uses `own`.
 */
import { RegistryError } from '../../protocol/errors.js'

export type JsonObject = Record<string, unknown>

/** Throws `invalid`, also for bytes that are not UTF-8. A byte order mark is not JSON. */
export function parseJson(source: string | Uint8Array, what = 'The body'): unknown {
  try {
    const text = typeof source === 'string' ? source : UTF8.decode(source)
    return MAY_NAME_PROTO.test(text) ? JSON.parse(text, withoutProto) : JSON.parse(text)
  } catch (cause) {
    throw new RegistryError('invalid', `${what} is not JSON`, { cause, code: 'invalid_json' })
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A field that the object itself has. */
export function own<T>(object: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** The name as it is, or with some of it escaped: a reviver is slow, so it runs only where there is something to find. */
const MAY_NAME_PROTO = /__proto__|\\u00[567]/i

function withoutProto(key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value
}
