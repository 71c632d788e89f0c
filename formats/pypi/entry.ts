/**
 * A version's entry: what the index says about its files beyond what their records do.
 *
 *     {"files":{"a-1.0-py3-none-any.whl":{"uploaded":"2026-…Z","requiresPython":">=3.9","blake2":"…"}},"yanked":"broken"}
 */
import type { FileRecord, Held, Version } from '../../protocol/records.js'
import { isObject, own, parseJson } from '../text/json.js'
import { metadataPath, provenancePath } from './name.js'

export interface Note {
  /** ISO 8601. */
  uploaded: string
  requiresPython?: string
  /** BLAKE2b-256, lowercase hexadecimal; only what a client sent and was checked. */
  blake2?: string
}

export interface Entry {
  files: Record<string, Note>
  /** PEP 592: why the version should not be chosen any more; may be ''. */
  yanked?: string
}

/** A distribution as the index shows it. */
export interface Listed extends Note {
  file: string
  held: Held
  isWheel: boolean
  /** SHA-256 of the core metadata beside it. Of wheels only: what a source archive builds may differ (PEP 643). */
  metadata: string | undefined
  hasProvenance: boolean
  yanked: string | undefined
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
  const byPath = new Map(files.filter(isHeld).map((file) => [file.path, file]))
  return [...byPath.values()]
    .filter(({ path }) => isDistribution(path))
    .map((held) => {
      const file = held.path.slice(held.path.lastIndexOf('/') + 1)
      const isWheel = file.endsWith('.whl')
      return {
        uploaded: publishedAt,
        ...own(entry.files, file),
        file,
        held,
        isWheel,
        metadata: isWheel ? byPath.get(metadataPath(held.path))?.digest : undefined,
        hasProvenance: byPath.has(provenancePath(held.path)),
        yanked: entry.yanked,
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

function isHeld(file: Version['files'][number]): file is Held {
  return !('offered' in file)
}

function readNote({ uploaded, requiresPython, blake2 }: Record<string, unknown>): Note {
  return {
    uploaded: String(uploaded),
    ...(typeof requiresPython === 'string' ? { requiresPython } : {}),
    ...(typeof blake2 === 'string' ? { blake2 } : {}),
  }
}
