/** What is kept about a crate as a whole: its name as first published, who answers for it, and what its newest version says of it. */
import type { Package } from '../../protocol/records.js'
import { isObject, type JsonObject, parseJson } from '../text/json.js'
import type { About, Draft } from './draft.js'
import { isNewer } from './version.js'

export interface Notes {
  name: string
  owners: string[]
  /** The version that `about` is of: the highest that was published. */
  newest: string
  about: About
}

/** undefined: the crate was never published here. */
export function readNotes(entry: Pick<Package, 'meta'> | undefined): Notes | undefined {
  const kept = entry === undefined || entry.meta === '' ? undefined : parseJson(entry.meta, 'A stored entry')
  if (!isObject(kept) || typeof kept.name !== 'string') return undefined
  const { name, owners, newest, about } = kept
  return { name, owners: texts(owners), newest: text(newest), about: readAbout(isObject(about) ? about : {}) }
}

export function writeNotes(notes: Notes): string {
  return JSON.stringify(notes)
}

/** As they are once the draft is published by `publisher`, who owns a crate that is new. */
export function notesAfter(before: Notes | undefined, draft: Draft, publisher: string): Notes {
  const { name, version, about } = draft
  if (!before) return { name, owners: [publisher], newest: version, about }
  return isNewer(before.newest, version) ? before : { ...before, newest: version, about }
}

function readAbout(about: JsonObject): About {
  return {
    description: text(about.description),
    license: text(about.license),
    homepage: text(about.homepage),
    documentation: text(about.documentation),
    repository: text(about.repository),
    keywords: texts(about.keywords),
    categories: texts(about.categories),
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}
