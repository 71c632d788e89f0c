/** package-lock.json and npm-shrinkwrap.json: versions 2 and 3 by their `packages`, version 1 by its tree of `dependencies`. */
import { RegistryError } from '../../../protocol/errors.js'
import type { LockContent, Platform } from '../../../protocol/lock.js'
import { isObject, type JsonObject, parseJson } from '../../text/json.js'
import { text } from '../notes.js'
import { contentOf, type Entry } from './entry.js'

const MAX_DEPTH = 1000

export function readPackageLock(source: string, platform?: Platform): LockContent {
  const document = parseJson(source, 'The lock file')
  if (isObject(document) && isObject(document.packages)) return contentOf(flat(document.packages), platform)
  if (isObject(document) && isObject(document.dependencies)) return contentOf(tree(document.dependencies, 0), platform)
  if (isObject(document) && typeof document.lockfileVersion === 'number') return { locked: [], elsewhere: [] }
  throw new RegistryError('invalid', "The lock file is not one of npm's")
}

const FOLDER = 'node_modules/'

/** By the folders that packages are installed in. Others are the project's own. */
function* flat(packages: JsonObject): Iterable<Entry> {
  for (const [folder, entry] of Object.entries(packages)) {
    const at = folder.lastIndexOf(FOLDER)
    if (at < 0 || !isObject(entry) || entry.link === true || entry.inBundle === true) continue
    yield entryOf(text(entry.name) || folder.slice(at + FOLDER.length), text(entry.version), entry)
  }
}

function* tree(dependencies: JsonObject, depth: number): Iterable<Entry> {
  if (depth > MAX_DEPTH) throw new RegistryError('invalid', 'The lock file is nested too deep')
  for (const [name, entry] of Object.entries(dependencies)) {
    if (!isObject(entry)) continue
    if (entry.bundled !== true) {
      const [, alias, version] = /^npm:(.+)@([^@]+)$/.exec(text(entry.version)) ?? []
      yield entryOf(alias ?? name, version ?? text(entry.version), entry)
    }
    if (isObject(entry.dependencies)) yield* tree(entry.dependencies, depth + 1)
  }
}

function entryOf(name: string, version: string, entry: JsonObject): Entry {
  const { resolved, integrity, os, cpu } = entry
  return { name, version, resolved: text(resolved), integrity: text(integrity), os: texts(os), cpu: texts(cpu) }
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}
