/** Fields of what clients send: of the right type and length, or refused with the name of the field. */
import { RegistryError } from '../../protocol/errors.js'
import type { JsonObject } from '../text/json.js'

const MAX_TEXT = 2000
const MAX_LIST = 5000

/** Absent, null and '' are all undefined. */
export function textOf(object: JsonObject, field: string, most = MAX_TEXT): string | undefined {
  const value = object[field]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw refused(`"${field}" is a text`)
  if (value.length > most) throw refused(`"${field}" has at most ${most} characters`)
  return value
}

/** Absent and null are an empty list. */
export function listOf(object: JsonObject, field: string, most = MAX_LIST): unknown[] {
  const value = object[field] ?? []
  if (!Array.isArray(value)) throw refused(`"${field}" is a list`)
  if (value.length > most) throw refused(`"${field}" has at most ${most} entries`)
  return value
}

export function textsOf(object: JsonObject, field: string, most = MAX_LIST): string[] {
  return listOf(object, field, most).map((one) => {
    if (typeof one !== 'string' || one.length > MAX_TEXT) throw refused(`"${field}" is a list of texts`)
    return one
  })
}

export function flagOf(object: JsonObject, field: string, otherwise: boolean): boolean {
  const value = object[field] ?? otherwise
  if (typeof value !== 'boolean') throw refused(`"${field}" is true or false`)
  return value
}

export function refused(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_metadata' })
}
