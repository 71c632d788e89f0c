/** A piece that the primary lost and asks its nodes for: a notice of the feed, `{"wanted": {…}}`, answered by PUT /fleet/v1/pieces. */
import { z } from 'zod'
import type { Digest } from '../records.js'

/** Leaves of 64 KiB in one question. */
export const MOST_WANTED_LEAVES = 16

const noticeShape = z.object({
  wanted: z.object({
    scope: z.string().max(256),
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .transform((digest) => digest as Digest),
    first: z.int().nonnegative(),
    count: z.int().positive().max(MOST_WANTED_LEAVES),
  }),
})

/** Leaves [first, first + count) of a blob. */
export type Wanted = z.infer<typeof noticeShape>['wanted']

/** undefined: the notice is about something else. */
export function wantedIn(notice: Record<string, unknown>): Wanted | undefined {
  return noticeShape.safeParse(notice).data?.wanted
}
