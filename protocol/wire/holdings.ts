/**
 * Which blobs a node has, asked by the primary for a report: a notice of the feed, `{"holdings": {…}}`, answered by
 * PUT /fleet/v1/holdings/{id}?site with 32 bytes for each. Only those whose digest begins with so many zero bits are told, which is a
 * fair sample, so that neither an answer nor a thousand of them are large.
 */
import { z } from 'zod'
import { RegistryError } from '../errors.js'
import type { Digest } from '../records.js'

/** Blobs in one answer. */
const MOST_HELD = 65_536
const DIGEST_BYTES = 32
export const MAX_ANSWER_BYTES = MOST_HELD * DIGEST_BYTES

const noticeShape = z.object({
  holdings: z.object({
    id: z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
    /** Zero bits that a digest begins with. */
    bits: z.int().min(0).max(48),
  }),
})

export type HoldingsAsked = z.infer<typeof noticeShape>['holdings']

/** undefined: the notice is about something else. */
export function holdingsIn(notice: Record<string, unknown>): HoldingsAsked | undefined {
  return noticeShape.safeParse(notice).data?.holdings
}

/** The first digest that is not in the sample, for a range of an index; undefined: all are. */
export function endOfSample(bits: number): string | undefined {
  return bits === 0 ? undefined : (2n ** BigInt(256 - bits)).toString(16).padStart(64, '0')
}

export function encodeHoldings(digests: Iterable<Digest>, bits: number): Buffer {
  const end = endOfSample(bits)
  const chosen: string[] = []
  for (const digest of digests) {
    if (chosen.length === MOST_HELD) break
    if (end === undefined || digest < end) chosen.push(digest)
  }
  return Buffer.from(chosen.join(''), 'hex')
}

/** Throws `invalid`. */
export function decodeHoldings(bytes: Buffer): Digest[] {
  if (bytes.length % DIGEST_BYTES !== 0) throw new RegistryError('invalid', 'Digests have 32 bytes each')
  const digests: Digest[] = []
  for (let at = 0; at < bytes.length; at += DIGEST_BYTES)
    digests.push(bytes.toString('hex', at, at + DIGEST_BYTES) as Digest)
  return digests
}
