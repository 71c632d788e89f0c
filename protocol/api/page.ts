/** Pages: `limit` is capped rather than refused, `next` of one page is `after` of the following, null at the end. */
import { z } from 'zod'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000
const MAX_CURSOR_CHARACTERS = 4096

export const limit = z
  .string()
  .regex(/^\d{1,20}$/, 'must be a whole number')
  .transform((text) => Math.min(MAX_LIMIT, Math.max(1, Number(text))))
  .default(DEFAULT_LIMIT)
  .meta({ description: `Entries per page, at most ${MAX_LIMIT}` })

export const after = z
  .string()
  .min(1)
  .max(MAX_CURSOR_CHARACTERS)
  .refine((text) => !text.includes('\0'), 'must not hold NUL')
  .optional()
  .meta({ description: 'Where to go on: `next` of the page before' })

export const pageQuery = z.strictObject({ limit, after })

export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next: z.string().nullable() })
}

/** Cuts a sorted list that is in memory. */
export function pageFrom<T>(
  all: readonly T[],
  key: (entry: T) => string,
  query: { limit: number; after?: string | undefined },
): { items: T[]; next: string | null } {
  const { after: cursor } = query
  const rest = cursor === undefined ? all : all.filter((entry) => key(entry) > cursor)
  const items = rest.slice(0, query.limit)
  const last = items.at(-1)
  return { items, next: rest.length > items.length && last !== undefined ? key(last) : null }
}
