/**
 * Where each setting's value comes from: command line, else environment, else file, else default. A name that nobody knows is
 * refused, since a misspelt setting is one that silently does not hold. Pure, but for `readConfigFile`.
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve as resolvePath } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'
import { nearest } from './nearest.js'
import { KEYS, type Key, optionOf, type Part, SETTINGS, type Setting, type Values, variableOf } from './table.js'

export interface Sources {
  /** By key, as typed. */
  options: Readonly<Record<string, string | undefined>>
  environment: Readonly<Record<string, string | undefined>>
  file: ConfigFile | undefined
  /** Working directory. */
  folder: string
}

export interface ConfigFile {
  path: string
  values: Readonly<Record<string, string>>
}

export interface Origin {
  /** As it was given; undefined: unset. */
  text: string | undefined
  /** 'command line', 'environment', 'default', the file's path, or another program's variable. */
  source: string
}

export interface Resolved {
  values: Values
  origins: Record<Key, Origin>
}

const MAX_FILE_BYTES = 1024 * 1024
const DEFAULT_FILE = 'cairn.config.json'
/** What an orchestrator adds for a service named "cairn", and what tests and benches use. */
const FOREIGN_VARIABLE = /^CAIRN_(CONFIG$|TEST_|BENCH_|(\w+_)?SERVICE_(HOST|PORT)|(\w+_)?PORT_\d+_(TCP|UDP))/
const LINKED_PORT = /^(tcp|udp):\/\//

/** Throws `invalid` with a sentence that names the setting, its source and what it takes. */
export function resolveSettings(part: Part, sources: Sources): Resolved {
  refuseUnknown(sources)
  const values: Partial<Record<Key, unknown>> = {}
  const origins: Partial<Record<Key, Origin>> = {}
  for (const key of KEYS) {
    const origin = originOf(key, part, sources)
    origins[key] = origin
    values[key] = parsedValue(key, origin, sources)
  }
  return { values: values as Values, origins: origins as Record<Key, Origin> }
}

/** CAIRN_CONFIG, else ./cairn.config.json when there is one. Throws `invalid` for one that cannot be used. */
export async function readConfigFile(
  environment: Sources['environment'],
  folder: string,
): Promise<ConfigFile | undefined> {
  const named = environment.CAIRN_CONFIG
  const path = resolvePath(folder, named || DEFAULT_FILE)
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' && !named) return undefined
    throw new RegistryError(
      'invalid',
      `The configuration file ${path} cannot be read (${cause.code ?? 'unknown reason'})`,
      { cause },
    )
  })
  return text === undefined ? undefined : { path, values: parseConfigFile(text, path) }
}

export function parseConfigFile(text: string, path: string): Record<string, string> {
  if (Buffer.byteLength(text) > MAX_FILE_BYTES)
    throw new RegistryError('invalid', `The configuration file ${path} is too large`)
  const parsed = parseJson(text, path)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new RegistryError('invalid', `The configuration file ${path} must hold one JSON object`)
  return Object.fromEntries(Object.entries(parsed).map(([key, value]) => [key, textOf(value, key, path)]))
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RegistryError('invalid', `The configuration file ${path} is not valid JSON`, { cause })
  }
}

function textOf(value: unknown, key: string, path: string): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value.join(',')
  throw new RegistryError('invalid', `"${key}" in ${path} must be a string, a number, true, false or a list of strings`)
}

function originOf(key: Key, part: Part, { options, environment, file, folder }: Sources): Origin {
  const setting: Setting<unknown> = SETTINGS[key]
  const option = options[key]
  if (option !== undefined) return { text: option, source: 'command line' }
  const variable = environment[variableOf(key)]
  // A Kubernetes service named "cairn" sets CAIRN_PORT=tcp://10.0.0.1:8080 in every container.
  if (variable !== undefined && variable !== '' && !(key === 'port' && LINKED_PORT.test(variable)))
    return { text: variable, source: 'environment' }
  const stored = file?.values[key]
  if (stored !== undefined) return { text: stored, source: file?.path ?? '' }
  const also = setting.also.find((name) => environment[name] && setting.kind.parse(environment[name], { folder }))
  if (also !== undefined) return { text: environment[also], source: also }
  return { text: setting.fallback[part] ?? Object.values(setting.fallback)[0], source: 'default' }
}

function parsedValue(key: Key, { text, source }: Origin, sources: Sources): unknown {
  if (text === undefined) return undefined
  const { kind, secret }: Setting<unknown> = SETTINGS[key]
  const inFile = sources.file !== undefined && source === sources.file.path
  const value = kind.parse(text, { folder: inFile ? dirname(source) : sources.folder })
  if (value !== undefined) return value
  const where =
    source === 'command line' ? optionOf(key) : source === 'environment' ? variableOf(key) : `"${key}" in ${source}`
  throw new RegistryError('invalid', `${where} must be ${kind.takes}${secret ? '' : `, not "${text}"`}`, {
    code: 'usage',
  })
}

function refuseUnknown({ environment, file }: Sources): void {
  const variables = KEYS.map(variableOf)
  for (const name of Object.keys(environment))
    if (name.startsWith('CAIRN_') && !variables.includes(name) && !FOREIGN_VARIABLE.test(name))
      refuse(name, 'environment', [...variables, 'CAIRN_CONFIG'])
  for (const key of Object.keys(file?.values ?? {}))
    if (!KEYS.some((known) => known === key)) refuse(`"${key}"`, file?.path ?? '', KEYS)
}

function refuse(name: string, source: string, known: readonly string[]): never {
  const meant = nearest(name.replaceAll('"', ''), known)
  const hint = meant ? `did you mean ${meant}?` : '`cairn config` lists all settings'
  throw new RegistryError('invalid', `There is no setting ${name} (${source}); ${hint}`, { code: 'usage' })
}
