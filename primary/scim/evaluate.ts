/** Does an element of a list fit a filter: for PATCH, which has the resource at hand. In SQL: sql.ts. */
import type { Filter } from './filter.js'

export type Values = Record<string, unknown>

export function fits(element: Values, filter: Filter): boolean {
  switch (filter.kind) {
    case 'and':
      return fits(element, filter.left) && fits(element, filter.right)
    case 'or':
      return fits(element, filter.left) || fits(element, filter.right)
    case 'not':
      return !fits(element, filter.filter)
    case 'present':
      return (element[filter.path.attribute.name] ?? '') !== ''
    case 'compare':
      return compare(element[filter.path.attribute.name], filter)
    case 'some':
      return false
  }
}

function compare(found: unknown, { path, operator, value }: Filter & { kind: 'compare' }): boolean {
  if (value === null) return (found === undefined) === (operator === 'eq')
  if (found === undefined) return operator === 'ne'
  const exact = path.attribute.caseExact === true
  const fold = (one: unknown) => (exact || typeof one !== 'string' ? String(one) : one.toLowerCase())
  const [a, b] = [fold(found), fold(value)]
  switch (operator) {
    case 'eq':
      return a === b
    case 'ne':
      return a !== b
    case 'co':
      return a.includes(b)
    case 'sw':
      return a.startsWith(b)
    case 'ew':
      return a.endsWith(b)
    case 'gt':
      return a > b
    case 'ge':
      return a >= b
    case 'lt':
      return a < b
    case 'le':
      return a <= b
  }
}
