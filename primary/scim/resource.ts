/** Resources: read from what clients send, into the names and types of the schema, and shown as far as clients ask. */
import { invalid } from './error.js'
import type { Values } from './evaluate.js'
import { truthOf } from './filter.js'
import { type Attribute, attributeOf, type ResourceType } from './schema.js'

const MAX_CHARACTERS = 4096
const MAX_ELEMENTS = 200
/** What Postgres keeps no text with: NUL, and halves of characters. */
const UNKEPT = /[\0\p{Cs}]/u

/** What is unknown or not the client's to say is left out, as RFC 7644 section 3.3 allows. Throws `invalidValue`. */
export function read(resource: ResourceType, sent: Values): Values {
  const { extension } = resource
  const found = readObject(resource.attributes, sent)
  const extended = extension && entryOf(sent, extension.schema)
  if (!extension || extended === undefined || extended === null) return found
  const values = readObject(extension.attributes, objectOf(extended, extension.name))
  return Object.keys(values).length > 0 ? { ...found, [extension.schema]: values } : found
}

/** A value as the attribute has it; undefined: none. Throws `invalidValue`. */
export function readValue(attribute: Attribute, sent: unknown): unknown {
  if (sent === null || sent === undefined) return undefined
  if (!attribute.multiValued) return readOne(attribute, sent)
  const elements = [sent].flat().flatMap((one) => readOne(attribute, one) ?? [])
  if (elements.length > MAX_ELEMENTS)
    throw invalid('invalidValue', `${attribute.name} has more than ${MAX_ELEMENTS} elements`)
  return elements.length > 0 ? elements : undefined
}

/** One element of a list, or the value of what is none. */
export function readOne(attribute: Attribute, sent: unknown): unknown {
  const { name, type, sub } = attribute
  if (sent === null || sent === undefined) return undefined
  if (sub) {
    // Entra sends a manager, and roles, as the bare value.
    const values = typeof sent === 'string' && attributeOf(sub, 'value') ? { value: sent } : objectOf(sent, name)
    const object = readObject(sub, values)
    return Object.keys(object).length > 0 ? object : undefined
  }
  if (type === 'boolean') {
    const truth = truthOf(sent)
    if (truth === undefined) throw invalid('invalidValue', `${name} is true or false`)
    return truth
  }
  return readText(name, sent)
}

export function readText(name: string, sent: unknown, maxCharacters = MAX_CHARACTERS): string {
  if (typeof sent !== 'string') throw invalid('invalidValue', `${name} is a text`)
  if (sent.length > maxCharacters) throw invalid('invalidValue', `${name} is longer than ${maxCharacters} characters`)
  if (UNKEPT.test(sent)) throw invalid('invalidValue', `${name} holds what is no character`)
  return sent
}

/** Of several spellings of a name, the first. */
export function entryOf(sent: Values, name: string): unknown {
  const key = Object.keys(sent).find((one) => one.toLowerCase() === name.toLowerCase())
  return key === undefined ? undefined : sent[key]
}

export function objectOf(value: unknown, name: string): Values {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('invalidValue', `${name} is an object`)
  return value as Values
}

function readObject(attributes: readonly Attribute[], sent: Values): Values {
  const found: Values = {}
  for (const [name, value] of Object.entries(sent)) {
    const attribute = attributeOf(attributes, name)
    const known = attribute && !attribute.readOnly ? readValue(attribute, value) : undefined
    if (attribute && known !== undefined) found[attribute.name] = known
  }
  return found
}

/** Lower case; undefined: everything that is shown without being asked for. */
export interface Selection {
  attributes?: readonly string[] | undefined
  excluded?: readonly string[] | undefined
}

const ALWAYS = new Set(['schemas', 'id'])

export function wants({ attributes, excluded }: Selection, name: string): boolean {
  const wanted = name.toLowerCase()
  const named = (list: readonly string[]) => list.some((one) => one === wanted || one.startsWith(`${wanted}.`))
  return attributes ? named(attributes) : !excluded?.includes(wanted)
}

/** RFC 7644, section 3.9. `id` is always there. */
export function select(whole: Values, selection: Selection, { schema, extension }: ResourceType): Values {
  const plain = (list: readonly string[] | undefined) =>
    list?.map((name) => name.replace(`${schema.toLowerCase()}:`, ''))
  const chosen = { attributes: plain(selection.attributes), excluded: plain(selection.excluded) }
  const picked: Values = {}
  for (const [name, value] of Object.entries(whole)) {
    const part = ALWAYS.has(name) ? value : chosenPart(name, value, chosen, name === extension?.schema ? ':' : '.')
    if (part !== undefined) picked[name] = part
  }
  return picked
}

function chosenPart(name: string, value: unknown, { attributes, excluded }: Selection, separator: string): unknown {
  const list = attributes ?? excluded
  if (!list) return value
  const wanted = name.toLowerCase()
  if (list.includes(wanted)) return attributes ? value : undefined
  const prefix = wanted + separator
  const subs = list.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length).split('.')[0] ?? '')
  if (subs.length === 0) return attributes ? undefined : value
  const pick = (one: unknown) => picking(one, (sub) => subs.includes(sub.toLowerCase()) === (attributes !== undefined))
  return Array.isArray(value) ? value.map(pick) : pick(value)
}

function picking(value: unknown, keep: (sub: string) => boolean): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).filter(([sub]) => keep(sub)))
}
