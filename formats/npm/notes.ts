/**
 * What is kept about a package as a whole: the parts of a packument that belong to no version. Everything else at its top
 * level comes from the version that `latest` names.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Package } from '../../protocol/records.js'
import { isObject, type JsonObject, parseJson } from '../text/json.js'

export interface Person {
  name: string
  email?: string
}

export interface Notes {
  maintainers: Person[]
  /** Who likes it (`npm star`), by user name. */
  users: string[]
  description: string
  keywords: string[]
  readme: string
  readmeFilename: string
}

const MAX_README = 64 * 1024
const MAX_DESCRIPTION = 1000
const MAX_KEYWORDS = 50
const MAX_MAINTAINERS = 200

export function readNotes(entry: Pick<Package, 'meta'> | undefined): Notes {
  const kept = entry === undefined || entry.meta === '' ? {} : parseJson(entry.meta, 'A stored entry')
  const { maintainers, users, description, keywords, readme, readmeFilename } = isObject(kept) ? kept : {}
  return {
    maintainers: people(maintainers),
    users: texts(users),
    description: text(description),
    keywords: texts(keywords),
    readme: text(readme),
    readmeFilename: text(readmeFilename),
  }
}

export function writeNotes(notes: Notes): string {
  return JSON.stringify(notes)
}

/** What a newly published version says about its package. */
export function notesOf(
  entry: JsonObject,
  readme: { filename: string; text: string },
): Pick<Notes, 'description' | 'keywords' | 'readme' | 'readmeFilename'> {
  return {
    description: text(entry.description).slice(0, MAX_DESCRIPTION),
    keywords: texts(entry.keywords).slice(0, MAX_KEYWORDS),
    readme: readme.text.slice(0, MAX_README),
    readmeFilename: readme.filename.slice(0, 255),
  }
}

/** Throws `invalid`: a client's list of maintainers. */
export function parseMaintainers(value: unknown): Person[] {
  const found = people(value)
  if (!Array.isArray(value) || found.length !== value.length || found.length === 0 || found.length > MAX_MAINTAINERS)
    throw new RegistryError(
      'invalid',
      `"maintainers" is a list of 1 to ${MAX_MAINTAINERS} objects with "name" and "email"`,
    )
  return found
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

function people(value: unknown): Person[] {
  return Array.isArray(value) ? value.map(person).filter((one) => one !== undefined) : []
}

function person(value: unknown): Person | undefined {
  if (!isObject(value) || typeof value.name !== 'string' || value.name === '' || value.name.length > 200)
    return undefined
  const { name, email } = value
  return typeof email === 'string' && email.length <= 320 ? { name, email } : { name }
}
