/**
 * A tarball's package.json and the published entry must say the same: installers believe one for some things and the other
 * for the rest, and whoever reviews a package sees only one. What npm's own clients rewrite when they publish is not a
 * difference.
 */
import { posix } from 'node:path'
import semver from 'semver'
import { RegistryError } from '../../protocol/errors.js'
import { isObject, type JsonObject } from '../text/json.js'
import { unscoped } from './name.js'
import type { Inspected } from './tarball.js'

/** Throws `invalid`, naming what differs. */
export function checkAgreement(entry: JsonObject, inspected: Inspected): void {
  const { manifest } = inspected
  if (manifest.name !== entry.name) throw differs('name', manifest.name, entry.name)
  if (semver.clean(String(manifest.version)) !== entry.version)
    throw differs('version', manifest.version, entry.version)
  compare('dependencies', dependencies(manifest), dependencies(entry), sameRange)
  compare('peerDependencies', texts(manifest.peerDependencies), texts(entry.peerDependencies), sameRange)
  compare('scripts', scripts(manifest, inspected), scripts(entry, inspected), same)
  if (isObject(manifest.directories) && manifest.bin === undefined) return
  compare('bin', bin(manifest), bin(entry), same)
}

/** Does installing the package run something. */
export function hasInstallScript(entry: JsonObject, inspected: Inspected): boolean {
  const found = scripts(entry, inspected)
  return ['preinstall', 'install', 'postinstall'].some((name) => found.has(name))
}

type Texts = Map<string, string>
type Same = (a: string, b: string) => boolean

function compare(field: string, inside: Texts, published: Texts, agree: Same): void {
  for (const name of new Set([...inside.keys(), ...published.keys()])) {
    const [a, b] = [inside.get(name), published.get(name)]
    if (a === undefined || b === undefined || !agree(a, b)) throw differs(`${field}.${name}`, a, b)
  }
}

/** npm copies optional dependencies into the others, or out of them, depending on its version. */
function dependencies(manifest: JsonObject): Texts {
  return new Map([...texts(manifest.dependencies), ...texts(manifest.optionalDependencies)])
}

/** npm adds the script that it would run for a binding.gyp, and takes the path of its own binaries out. */
function scripts(manifest: JsonObject, { hasBindingGyp }: Inspected): Texts {
  const found = texts(manifest.scripts)
  for (const [name, script] of found) found.set(name, script.replace(/^(?:\.[/\\])?node_modules[/\\]\.bin[/\\]/, ''))
  const implied = hasBindingGyp && manifest.gypfile !== false && !found.has('install') && !found.has('preinstall')
  if (implied) found.set('install', 'node-gyp rebuild')
  return found
}

/** One command may be written as a text; paths are written in several ways. */
function bin({ bin: value, name }: JsonObject): Texts {
  const found = typeof value === 'string' ? new Map([[unscoped(String(name)), value]]) : texts(value)
  return new Map([...found].map(([command, path]) => [unscopedCommand(command), plain(path)]))
}

function unscopedCommand(command: string): string {
  return posix.basename(command.replace(/\\|:/g, '/'))
}

function plain(path: string): string {
  return posix.join('/', path.replace(/\\/g, '/')).slice(1)
}

function texts(value: unknown): Texts {
  const entries = isObject(value) ? Object.entries(value) : []
  return new Map(
    entries.flatMap(([name, one]): [string, string][] => (typeof one === 'string' ? [[name, one.trim()]] : [])),
  )
}

function same(a: string, b: string): boolean {
  return a === b
}

/** Ranges must be equal. Repositories and URLs have many spellings, of which clients choose another than was written. */
function sameRange(a: string, b: string): boolean {
  return a === b || (!isRange(a) && !isRange(b))
}

function isRange(spec: string): boolean {
  return semver.validRange(spec, true) !== null || /^(?:npm:|[A-Za-z0-9][\w.-]*$)/.test(spec)
}

function differs(field: string, inside: unknown, published: unknown): RegistryError {
  const sentence = `${field} is ${show(inside)} in the tarball's package.json and ${show(published)} in what was published with it`
  return new RegistryError('invalid', `The package contradicts itself: ${sentence}`, { code: 'manifest_mismatch' })
}

function show(value: unknown): string {
  return value === undefined ? 'not there' : (JSON.stringify(value)?.slice(0, 200) ?? 'not there')
}
