/**
 * One reference of a package at an upstream: what it leads to is stored byte for byte, checked by its format, and published in the remote
 * repository, with the tag that led to it. What is held already is asked for with the validator that came with it, and unchanged it
 * is no change in the log.
 */
import { once } from '../../protocol/chunks.js'
import type { Asking, Found, Lookup } from '../../protocol/format.js'
import type { Ledger } from '../../protocol/ledger.js'
import type { Blobs, Metadata, OriginCheck } from '../../protocol/ports.js'
import type { RepositoryRecord, Step } from '../../protocol/records.js'
import type { UpstreamReply } from './client.js'
import { readDocument } from './document.js'
import type { Documents } from './documents.js'
import { blaming, conditions, GONE, refuseUnlessFound, validators } from './reply.js'

export interface LookupParts {
  documents: Documents
  metadata: Metadata
  ledger: Ledger
  blobs: Blobs
  /** ISO 8601. */
  now: () => string
  maxDocumentBytes: number
  /** Who is said to have done it. */
  by: string
}

export interface Looking {
  repository: RepositoryRecord
  lookup: Lookup
  name: string
  reference: string
  get: (path: string, headers: Record<string, string>) => Promise<UpstreamReply>
  asking: (reply: UpstreamReply, headers: Record<string, string>) => Asking
}

export async function lookUp(looking: Looking, parts: LookupParts): Promise<OriginCheck> {
  const { repository, lookup, name, reference, get, asking } = looking
  const { metadata, documents, maxDocumentBytes } = parts
  const { scope, upstream } = repository
  const key = `${name}@${reference}`
  const held = (await metadata.version(scope, name, reference)) ?? (await metadata.tag(scope, name, reference))
  const document = held === undefined ? undefined : await documents.get(scope, key)
  const before = document?.upstream === upstream ? document : undefined
  for (const { path, headers = {} } of lookup.ask(name, reference)) {
    const reply = await get(path, { 'accept-encoding': 'identity', ...headers, ...conditions(before) })
    if (GONE.has(reply.status) || reply.status === 304) {
      reply.cancel()
      if (reply.status === 304) return { known: true, stale: false, ageSeconds: 0 }
      continue
    }
    refuseUnlessFound(reply)
    const bytes = await readDocument(reply, maxDocumentBytes)
    const found = await blaming(reply.url, () => lookup.parse({ name, reference }, bytes, asking(reply, headers)))
    await publish(repository, name, found, parts)
    await documents.put(scope, key, { ...validators(repository, reply), urls: {} })
    return { known: true, stale: false, ageSeconds: 0 }
  }
  // What was taken away there is not taken away from those who build with it.
  return { known: held !== undefined, stale: false, ageSeconds: 0 }
}

async function publish(
  { scope }: RepositoryRecord,
  name: string,
  { version, path, bytes, meta, tag }: Found,
  { blobs, metadata, ledger, now, by }: LookupParts,
): Promise<void> {
  const stored = await blobs.write(once(bytes), { limit: bytes.length })
  const steps: Step[] = []
  if ((await metadata.file(scope, path))?.digest !== stored.digest) {
    const files = [{ path, ...stored }]
    steps.push({ kind: 'publish', manifest: { package: name, version, files, meta, publishedAt: now() } })
  }
  if (tag !== undefined && (await metadata.tag(scope, name, tag)) !== version)
    steps.push({ kind: 'tag', package: name, tag, version })
  // Somebody may have been led to the same at the same time by another reference.
  if (steps.length > 0) await ledger.commit({ scope, steps, by, redeploy: true })
}
