/**
 * What is recorded about a manifest, as a version's `meta`: enough to serve it and to list it among referrers without reading it.
 *
 *     {"mediaType": "…", "size": 1234, "artifactType": "…", "subject": "sha256:…", "annotations": {…}, "references": ["sha256:…"]}
 */
import { isObject, parseJson } from '../text/json.js'
import type { ParsedManifest } from './manifest.js'

export interface Entry {
  mediaType: string
  size: number
  artifactType?: string
  /** Digest of the manifest that this one is about. */
  subject?: string
  /** Kept where referrers lists need them: they can be megabytes. */
  annotations?: Record<string, string>
  references: string[]
}

export function entryOf(manifest: ParsedManifest, size: number): string {
  const { mediaType, artifactType, subject, annotations, blobs, manifests } = manifest
  const entry: Entry = {
    mediaType,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject: subject.digest }),
    ...(subject === undefined || annotations === undefined ? {} : { annotations }),
    references: [...new Set([...blobs, ...manifests].map(({ digest }) => digest))],
  }
  return JSON.stringify(entry)
}

export function readEntry(meta: string): Entry {
  const entry = parseJson(meta, 'The record of a manifest')
  if (!isObject(entry) || typeof entry.mediaType !== 'string' || typeof entry.size !== 'number')
    throw new Error('the record of a manifest does not say what it is')
  // Written by entryOf, and nothing else writes it.
  return entry as unknown as Entry
}
