/**
 * A version's entry: what the index says about its files beyond what their records do.
 *
 *     {"files":{"a-1.0-py3-none-any.whl":{"uploaded":"2026-…Z","requiresPython":">=3.9","blake2":"…"}},"yanked":"broken"}
 */
import type { File, FileRecord, Promised, Version } from '../../protocol/records.js'
import { isObject, own, parseJson } from '../text/json.js'
import { metadataPath, provenancePath } from './name.js'

export interface Note {
  /** ISO 8601. Left out where an upstream does not tell it. */
  uploaded?: string
  requiresPython?: string
  /** BLAKE2b-256, lowercase hexadecimal; only what a client sent and was checked. */
  blake2?: string
  /** Bytes, of an upstream's file: what is published here has a record that says it. */
  size?: number
  /** Why this file alone is yanked, at an upstream. */
  yanked?: string
}

export interface Entry {
  files: Record<string, Note>
  /** PEP 592: why the version should not be chosen any more; may be ''. */
  yanked?: string
}

/** A distribution as the index shows it. */
export interface Listed extends Note {
  uploaded: string
  file: string
  path: string
  /** None that is known is left out. */
  hashes: Promised
  isWheel: boolean
  /**
   * SHA-256 of the core metadata beside it, or true where an upstream does not tell that. Of wheels only: what a source archive
   * builds may differ (PEP 643).
   */
  metadata: string | true | undefined
  hasProvenance: boolean
}

export function readEntry(meta: string): Entry {
  const entry = meta === '' ? {} : parseJson(meta, 'A stored entry')
  if (!isObject(entry) || !isObject(entry.files)) return { files: {} }
  const files: Record<string, Note> = {}
  for (const [file, note] of Object.entries(entry.files)) if (isObject(note)) files[file] = readNote(note)
  return { files, ...(typeof entry.yanked === 'string' ? { yanked: entry.yanked } : {}) }
}

export function writeEntry(entry: Entry): string {
  return JSON.stringify(entry)
}

/** The distributions of a version, in order of upload. */
export function listed({ files, meta, publishedAt }: Version): Listed[] {
  const entry = readEntry(meta)
  const byPath = new Map(files.map((file) => [file.path, file]))
  return [...byPath.values()]
    .filter(({ path }) => isDistribution(path))
    .map((one) => {
      const { path } = one
      const file = path.slice(path.lastIndexOf('/') + 1)
      const isWheel = file.endsWith('.whl')
      const beside = isWheel ? byPath.get(metadataPath(path)) : undefined
      return {
        uploaded: publishedAt,
        ...('size' in one ? { size: one.size } : {}),
        ...(entry.yanked === undefined ? {} : { yanked: entry.yanked }),
        ...own(entry.files, file),
        file,
        path,
        hashes: hashesOf(one),
        isWheel,
        metadata: beside && (hashesOf(beside).sha256 ?? true),
        hasProvenance: byPath.has(provenancePath(path)),
      }
    })
}

/** Or else it lies beside one. */
function isDistribution(path: string): boolean {
  return /\.(?:whl|tar\.gz|zip)$/.test(path)
}

/** A distribution's record and those of what lies beside it. */
export function pathsOf({ path }: Pick<FileRecord, 'path'>, { files }: Version): string[] {
  const all = new Set([path, metadataPath(path), provenancePath(path)])
  return files.map((file) => file.path).filter((each) => all.has(each))
}

function hashesOf(file: File): Promised {
  return 'offered' in file ? (file.promised ?? {}) : { sha256: file.digest, ...file.hashes }
}

function readNote({ uploaded, requiresPython, blake2, size, yanked }: Record<string, unknown>): Note {
  return {
    ...(typeof uploaded === 'string' ? { uploaded } : {}),
    ...(typeof requiresPython === 'string' ? { requiresPython } : {}),
    ...(typeof blake2 === 'string' ? { blake2 } : {}),
    ...(typeof size === 'number' ? { size } : {}),
    ...(typeof yanked === 'string' ? { yanked } : {}),
  }
}
