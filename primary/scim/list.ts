/** A question for a list: filter, page, order and what is to be shown, from a query or from the body of `/.search`. */
import { z } from 'zod'
import type { Values } from './evaluate.js'
import { type Filter, parseFilter } from './filter.js'
import type { Selection } from './resource.js'
import type { ResourceType } from './schema.js'
import { conditionOf, orderOf } from './sql.js'

const MAX_NAMES = 100
export const MAX_PAGE = 200
const PAGE = 100
const MAX_START = 1_000_000_000
const LIST = 'urn:ietf:params:scim:api:messages:2.0:ListResponse'

/** "A value less than 1 SHALL be interpreted as 1", and of count, "a negative value SHALL be interpreted as 0" (3.4.2.4). */
const whole = z.coerce.number().int().min(-MAX_START).max(MAX_START)
const paging = {
  startIndex: whole.default(1),
  count: whole.default(PAGE),
  filter: z.string().optional(),
  sortBy: z.string().max(200).optional(),
  sortOrder: z.enum(['ascending', 'descending']).default('ascending'),
}
const names = z.string().max(4096).optional()
const nameList = z.array(z.string().max(200)).max(MAX_NAMES).optional()

/** Of one resource. */
export const selectionQuery = z.object({
  attributes: names,
  excludedAttributes: names,
  provider: z.string().optional(),
})
export const listQuery = selectionQuery.extend(paging)
export const searchBody = z.object({ ...paging, attributes: nameList, excludedAttributes: nameList })

export interface ListAsk {
  filter: Filter | undefined
  offset: number
  limit: number
  sortBy: string | undefined
  descending: boolean
  selection: Selection
}

export interface List {
  total: number
  items: Values[]
}

type Paging = z.output<z.ZodObject<typeof paging>>

export function selectionOf(query: {
  attributes?: string | readonly string[] | undefined
  excludedAttributes?: string | readonly string[] | undefined
}): Selection {
  return { attributes: lowered(query.attributes), excluded: lowered(query.excludedAttributes) }
}

export function listAsk(asked: Paging, selection: Selection, resource: ResourceType): ListAsk {
  return {
    filter: asked.filter === undefined || asked.filter === '' ? undefined : parseFilter(asked.filter, resource),
    offset: Math.max(1, asked.startIndex) - 1,
    limit: Math.min(MAX_PAGE, Math.max(0, asked.count)),
    sortBy: asked.sortBy,
    descending: asked.sortOrder === 'descending',
    selection,
  }
}

export function listJson({ total, items }: List, { offset }: Pick<ListAsk, 'offset'>): Values {
  return {
    schemas: [LIST],
    totalResults: total,
    startIndex: offset + 1,
    itemsPerPage: items.length,
    Resources: items,
  }
}

/** The SQL behind `where r.provider = $1`, and its order; `values` has $1 already. */
export function clausesOf(
  { filter, sortBy, descending }: ListAsk,
  resource: ResourceType,
  values: unknown[],
): { where: string; order: string } {
  return {
    where: filter ? ` and ${conditionOf(filter, resource, values)}` : '',
    order: `${sortBy === undefined ? '' : `${orderOf(sortBy, descending, resource)}, `}r.created_at, r.id`,
  }
}

function lowered(given: string | readonly string[] | undefined): string[] | undefined {
  const list = typeof given === 'string' ? given.split(',') : given
  const wanted = (list ?? []).map((name) => name.trim().toLowerCase()).filter((name) => name !== '')
  return wanted.length > 0 ? wanted : undefined
}
