/**
 * PATCH (RFC 7644, section 3.5.2), with what Entra and Okta send besides: operations in capitals, no path but an object whose keys are
 * paths, booleans as texts, and a list of elements to remove as the value.
 */
import { invalid } from './error.js'
import { fits, type Values } from './evaluate.js'
import { type Filter, parseTarget, type Target } from './filter.js'
import { entryOf, objectOf, readOne, readValue } from './resource.js'
import { type Attribute, pathOf, type ResourceType } from './schema.js'

const KINDS = ['add', 'replace', 'remove'] as const

/** One thing to do to one target. */
export interface Operation {
  kind: (typeof KINDS)[number]
  target: Target
  value: unknown
}

const MAX_OPERATIONS = 1000

/** Throws `invalidSyntax`, `invalidPath`, `noTarget`, `mutability`. */
export function operationsOf(body: Values, resource: ResourceType): Operation[] {
  const sent = entryOf(body, 'Operations')
  if (!Array.isArray(sent) || sent.length === 0) throw invalid('invalidSyntax', 'Operations is a list of operations')
  if (sent.length > MAX_OPERATIONS) throw invalid('tooMany', `There are more than ${MAX_OPERATIONS} operations`)
  return sent.flatMap((one) => read(objectOf(one, 'An operation'), resource))
}

function read(sent: Values, resource: ResourceType): Operation[] {
  const word = String(entryOf(sent, 'op')).toLowerCase()
  const kind = KINDS.find((known) => known === word)
  if (!kind) throw invalid('invalidSyntax', 'op is add, replace or remove')
  const path = entryOf(sent, 'path')
  const value = entryOf(sent, 'value')
  if (path !== undefined && path !== null && path !== '') return [written(kind, path, value, resource)]
  if (kind === 'remove') throw invalid('noTarget', 'What is removed is named by a path')
  return unfolded(kind, objectOf(value, 'value'), resource)
}

function written(kind: Operation['kind'], path: unknown, value: unknown, resource: ResourceType): Operation {
  if (typeof path !== 'string') throw invalid('invalidPath', 'path is a text')
  const target = parseTarget(path, resource)
  if (target.attribute.readOnly) throw invalid('mutability', `${target.attribute.name} is not to be changed`)
  return { kind, target, value }
}

/** As in whole resources, what is unknown or not the client's to say is left out. */
function unfolded(kind: Operation['kind'], values: Values, resource: ResourceType): Operation[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const { extension } = resource
    if (name.toLowerCase() === extension?.schema.toLowerCase())
      return Object.entries(objectOf(value, name)).flatMap(([inner, one]) =>
        unfoldedOne(kind, `${extension.schema}:${inner}`, one, resource),
      )
    return unfoldedOne(kind, name, value, resource)
  })
}

function unfoldedOne(kind: Operation['kind'], path: string, value: unknown, resource: ResourceType): Operation[] {
  if (!pathOf(resource, path.split('[', 1)[0] ?? '')) return []
  const target = parseTarget(path, resource)
  return target.attribute.readOnly ? [] : [{ kind, target, value }]
}

/** The resource after the operations. Throws `invalidValue`, `noTarget`. */
export function patched(before: Values, operations: readonly Operation[]): Values {
  const values = structuredClone(before)
  for (const operation of operations) apply(values, operation)
  return values
}

function apply(values: Values, { kind, target, value }: Operation): void {
  const { extension, attribute } = target
  const object = extension === undefined ? values : ((values[extension] ?? {}) as Values)
  const { name } = attribute
  const next = attribute.multiValued
    ? list((object[name] ?? []) as Values[], kind, target, value)
    : single(object[name], kind, target, value)
  if (next === undefined) delete object[name]
  else object[name] = next
  if (extension === undefined) return
  if (Object.keys(object).length > 0) values[extension] = object
  else delete values[extension]
}

function single(before: unknown, kind: Operation['kind'], { attribute, sub }: Target, value: unknown): unknown {
  if (!attribute.sub) return kind === 'remove' ? undefined : readValue(attribute, value)
  if (sub) return filled(withSub(before as Values | undefined, sub, kind === 'remove' ? undefined : value))
  if (kind === 'remove') return undefined
  const given = readOne(attribute, value) as Values | undefined
  return given && { ...(before as Values | undefined), ...given }
}

function list(before: Values[], kind: Operation['kind'], target: Target, value: unknown): Values[] | undefined {
  const { attribute, filter, sub } = target
  if (filter || sub) return some(elements(chosen(before, kind, filter, sub, attribute, value)), attribute)
  const given = (readValue(attribute, value) ?? []) as Values[]
  if (kind === 'replace') return some(onePrimary(given, given), attribute)
  if (kind === 'add') {
    const added = given.filter((one) => !before.some((other) => isSame(one, other)))
    return some(onePrimary([...before, ...added], added), attribute)
  }
  if (value === undefined || value === null) return undefined
  return some(
    before.filter((one) => !given.some((other) => one.value === other.value)),
    attribute,
  )
}

/** Each element as it is afterwards; undefined: it is gone. */
function chosen(
  before: Values[],
  kind: Operation['kind'],
  filter: Filter | undefined,
  sub: Attribute | undefined,
  attribute: Attribute,
  value: unknown,
): (Values | undefined)[] {
  const isChosen = (one: Values) => !filter || fits(one, filter)
  if (kind === 'remove') return before.map((one) => (isChosen(one) ? sub && filled(withSub(one, sub, undefined)) : one))
  const change = (one: Values): Values | undefined =>
    sub ? filled(withSub(one, sub, value)) : { ...one, ...(readOne(attribute, value) as Values | undefined) }
  if (before.some(isChosen)) {
    const after = before.map((one) => (isChosen(one) ? change(one) : one))
    return onePrimary(elements(after), elements(after.filter((_, i) => isChosen(before[i] ?? {}))))
  }
  const made = kind === 'add' && filter ? named(filter) : undefined
  if (!made) throw invalid('noTarget', `Nothing in ${attribute.name} is as the path says`)
  const added = elements([change(made)])
  return onePrimary([...before, ...added], added)
}

/** What an element has to be for a filter such as `type eq "work"`. */
function named(filter: Filter): Values | undefined {
  if (filter.kind === 'and') {
    const [left, right] = [named(filter.left), named(filter.right)]
    return left && right && { ...left, ...right }
  }
  if (filter.kind !== 'compare' || filter.operator !== 'eq' || filter.value === null) return undefined
  return { [filter.path.attribute.name]: filter.value }
}

function withSub(object: Values | undefined, sub: Attribute, value: unknown): Values {
  const next = readValue(sub, value)
  const { [sub.name]: _, ...rest } = object ?? {}
  return next === undefined ? rest : { ...rest, [sub.name]: next }
}

/** A new primary element takes that from the one before. */
function onePrimary(all: Values[], changed: Values[]): Values[] {
  const first = changed.find(({ primary }) => primary === true)
  return first ? all.map((one) => (one !== first && one.primary === true ? { ...one, primary: false } : one)) : all
}

function isSame(a: Values, b: Values): boolean {
  return a.value === b.value && a.type === b.type && (a.value !== undefined || JSON.stringify(a) === JSON.stringify(b))
}

function some(after: Values[], attribute: Attribute): Values[] | undefined {
  return readValue(attribute, after) as Values[] | undefined
}

function elements(list: (Values | undefined)[]): Values[] {
  return list.filter((one) => one !== undefined)
}

function filled(object: Values): Values | undefined {
  return Object.keys(object).length > 0 ? object : undefined
}
