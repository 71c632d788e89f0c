/**
 * Rendezvous hashing: for each blob every node ranks the live members alike without asking anybody. The first is the blob's
 * home, which alone fetches it from the primary; when it goes, the second is, and no other blob moves.
 */
import { createHash } from 'node:crypto'
import type { Digest } from '../../protocol/records.js'

/** Higher comes first: SHA-256 over digest and node id, its first 48 bits. Node ids are unique, so ties do not matter. */
function rank(digest: Digest, node: string): number {
  return createHash('sha256').update(digest).update('\n').update(node).digest().readUIntBE(0, 6)
}

/** All of them, the home first. */
export function homes(digest: Digest, nodes: Iterable<string>): string[] {
  return [...nodes]
    .map((node) => ({ node, rank: rank(digest, node) }))
    .sort((a, b) => b.rank - a.rank || (a.node < b.node ? -1 : 1))
    .map(({ node }) => node)
}

/**
 * Whom to turn to, in order: the site's own home if that is another node, then the fleet's. So one node of each site takes the bytes
 * over the slow links; where all are near it is one and the same.
 */
export function homesNearFirst(
  digest: Digest,
  self: string,
  others: readonly string[],
  near: (node: string) => boolean,
): string[] {
  const site = homes(digest, [self, ...others.filter(near)])
  const fleet = homes(digest, [self, ...others])
  const before = (list: string[]) => list.slice(0, list.indexOf(self))
  return [...new Set([...before(site), ...before(fleet)])]
}

/** May `asker` make `self` fetch: only upwards, so that two nodes with different views never send each other in a circle. */
export function outranks(digest: Digest, self: string, asker: string): boolean {
  return rank(digest, self) > rank(digest, asker)
}
