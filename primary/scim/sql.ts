/**
 * Filters and orders as SQL over `scim_user` and `scim_group`, there called r. Names in it come from the schema's own table, values go
 * as parameters. A comparison with what is not there is false, so that `not` of it is true.
 */
import { invalid } from './error.js'
import type { Filter, Operator } from './filter.js'
import { keyOf } from './key.js'
import { type Attribute, comparedAt, type Path, pathOf, type ResourceType } from './schema.js'

interface Column {
  sql: string
  /** `key`: in the spelling of key.ts, for equality. */
  as: 'text' | 'exact' | 'key' | 'time'
}

/** Where a list's elements are. */
interface Elements {
  from: string
  column(sub: Attribute): Column | undefined
}

type Columns = (path: Path) => Column | undefined

/** `values` grows by the parameters. */
export function conditionOf(filter: Filter, resource: ResourceType, values: unknown[]): string {
  return condition(filter, (path) => columnOf(path, resource), resource, values)
}

/** Which members of the group r a filter over `members` chooses, m being one. */
export function memberCondition(filter: Filter, values: unknown[]): string {
  return condition(filter, ({ attribute }) => memberColumn(attribute), undefined, values)
}

/** For `order by`. Throws `invalidPath`. */
export function orderOf(sortBy: string, descending: boolean, resource: ResourceType): string {
  const path = pathOf(resource, sortBy)
  const column = path && columnOf(path, resource)
  if (!column) throw invalid('invalidPath', `Nothing is sorted by ${sortBy.slice(0, 100)}`)
  const { sql, as } = column
  const folded = as === 'text' ? `lower(${sql}) collate "C"` : sql
  return `${folded} ${descending ? 'desc nulls first' : 'asc nulls last'}`
}

function condition(filter: Filter, columns: Columns, resource: ResourceType | undefined, values: unknown[]): string {
  const inner = (one: Filter) => condition(one, columns, resource, values)
  switch (filter.kind) {
    case 'and':
    case 'or':
      return `(${inner(filter.left)} ${filter.kind} ${inner(filter.right)})`
    case 'not':
      return `(not ${inner(filter.filter)})`
    case 'some':
      return some(filter.path, resource, (elements) =>
        condition(filter.filter, ({ attribute }) => elements.column(attribute), undefined, values),
      )
    case 'present':
      return present(filter.path, columns, resource)
    case 'compare': {
      const column = columns(filter.path)
      if (column) return comparison(column, filter, values)
      const compared = comparedAt(filter.path)
      return some(filter.path, resource, ({ column: of }) => {
        const element = compared && of(compared)
        if (!element) throw unknown(filter.path)
        return comparison(element, filter, values)
      })
    }
  }
}

function some(path: Path, resource: ResourceType | undefined, test: (elements: Elements) => string): string {
  const elements = resource && elementsOf(path, resource)
  if (!elements) throw unknown(path)
  return `exists (select from ${elements.from} and ${test(elements)})`
}

function present(path: Path, columns: Columns, resource: ResourceType | undefined): string {
  const column = columns(path)
  if (column) return column.as === 'time' ? 'true' : `(coalesce(${column.sql}, '') <> '')`
  if (path.attribute.multiValued)
    return some(path, resource, (elements) => {
      const sub = path.sub && elements.column(path.sub)
      return sub ? `coalesce(${sub.sql}, '') <> ''` : 'true'
    })
  return `(${objectOf(path)} ? '${path.attribute.name}')`
}

const SIGNS: Partial<Record<Operator, string>> = { gt: '>', ge: '>=', lt: '<', le: '<=' }

function comparison({ sql, as }: Column, { operator, value }: Filter & { kind: 'compare' }, values: unknown[]): string {
  if (value === null) return `(${sql} is ${operator === 'eq' ? '' : 'not '}null)`
  values.push(as === 'key' ? keyOf(String(value)) : String(value))
  const given = as === 'time' ? `$${values.length}::timestamptz` : `$${values.length}::text`
  const [a, b] = as === 'text' ? [`lower(${sql})`, `lower(${given})`] : [sql, given]
  if (operator === 'eq') return `coalesce(${a} = ${b}, false)`
  if (operator === 'ne') return `(${a} is distinct from ${b})`
  return `coalesce(${as === 'time' ? `${a} ${SIGNS[operator]} ${b}` : ofText(a, operator, b)}, false)`
}

function ofText(a: string, operator: Operator, b: string): string {
  if (operator === 'co') return `position(${b} in ${a}) > 0`
  if (operator === 'sw') return `starts_with(${a}, ${b})`
  if (operator === 'ew') return `right(${a}, length(${b})) = ${b}`
  return `${a} collate "C" ${SIGNS[operator]} ${b} collate "C"`
}

/** undefined: it is a list, or an object without a value. */
function columnOf(path: Path, resource: ResourceType): Column | undefined {
  const { attribute, sub, extension } = path
  if (extension === undefined) {
    const own = ownColumn(attribute, sub, resource)
    if (own) return own
  }
  if (attribute.multiValued) return undefined
  const compared = comparedAt(path)
  if (!compared) return undefined
  const at = objectOf(path)
  const sql = attribute.sub
    ? `(${at} -> '${attribute.name}' ->> '${compared.name}')`
    : `(${at} ->> '${attribute.name}')`
  return { sql, as: compared.caseExact ? 'exact' : 'text' }
}

function ownColumn(attribute: Attribute, sub: Attribute | undefined, { name }: ResourceType): Column | undefined {
  switch (attribute.name) {
    case 'id':
      return { sql: 'r.id', as: 'exact' }
    case 'externalId':
      return { sql: 'r.external_id', as: 'exact' }
    case 'userName':
      return { sql: 'r.user_key', as: 'key' }
    case 'displayName':
      return name === 'Group' ? { sql: 'r.display_key', as: 'key' } : undefined
    case 'meta':
      if (sub?.name === 'created') return { sql: 'r.created_at', as: 'time' }
      if (sub?.name === 'lastModified') return { sql: 'r.modified_at', as: 'time' }
      return sub && { sql: `'${name}'`, as: 'exact' }
  }
  return undefined
}

function objectOf({ extension }: Path): string {
  return extension === undefined ? 'r.attributes' : `(r.attributes -> '${extension}')`
}

function elementsOf({ attribute }: Path, { name }: ResourceType): Elements | undefined {
  if (!attribute.multiValued) return undefined
  if (name === 'Group') return { from: 'scim_member m where m.group_id = r.id', column: memberColumn }
  if (attribute.name === 'groups')
    return {
      from: 'scim_member m join scim_group g on g.id = m.group_id where m.user_id = r.id',
      column: groupColumn,
    }
  return {
    from: `jsonb_array_elements(r.attributes -> '${attribute.name}') e where true`,
    column: (sub) => ({ sql: `(e ->> '${sub.name}')`, as: sub.caseExact ? 'exact' : 'text' }),
  }
}

function memberColumn(sub: Attribute): Column | undefined {
  if (sub.name === 'value') return { sql: 'm.user_id', as: 'exact' }
  return sub.name === 'type' ? { sql: `'User'`, as: 'text' } : undefined
}

function groupColumn(sub: Attribute): Column | undefined {
  if (sub.name === 'value') return { sql: 'g.id', as: 'exact' }
  if (sub.name === 'display') return { sql: 'g.display_name', as: 'text' }
  return sub.name === 'type' ? { sql: `'direct'`, as: 'text' } : undefined
}

function unknown({ attribute, sub }: Path) {
  return invalid(
    'invalidFilter',
    `Nothing is filtered by ${[attribute, sub].flatMap((one) => one?.name ?? []).join('.')}`,
  )
}
