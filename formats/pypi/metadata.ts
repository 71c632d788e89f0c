/** Core metadata: METADATA in a wheel, PKG-INFO in a source archive. Headers as in mail, then a description. */
import { RegistryError } from '../../protocol/errors.js'
import type { Distribution } from './filename.js'
import { normalName } from './name.js'
import { normalVersion } from './version.js'

export interface CoreMetadata {
  /** Values by lowercase name, in order. */
  fields: ReadonlyMap<string, readonly string[]>
  description: string
}

export const METADATA_LIMIT = 4 * 1024 * 1024

/** Throws `invalid`. */
export function parseMetadata(bytes: Uint8Array): CoreMetadata {
  const text = decode(bytes).replace(/\r\n?/g, '\n')
  const blank = text.indexOf('\n\n')
  const head = blank < 0 ? text : text.slice(0, blank)
  const fields = new Map<string, string[]>()
  // A line that begins with a blank goes on with the value before it.
  for (const line of head.trimEnd().split(/\n(?![ \t])/)) {
    const colon = line.indexOf(':')
    if (colon < 1 || !/^[\x21-\x7e]+$/.test(line.slice(0, colon))) throw invalid('has a line that is no field')
    const name = line.slice(0, colon).toLowerCase()
    const values = fields.get(name) ?? []
    values.push(line.slice(colon + 1).trim())
    fields.set(name, values)
  }
  const written = first({ fields }, 'description')
  return { fields, description: blank < 0 ? unfolded(written ?? '') : text.slice(blank + 2) }
}

export function first({ fields }: Pick<CoreMetadata, 'fields'>, name: string): string | undefined {
  return fields.get(name)?.[0]
}

/** Name and version must be those of the file's name. Throws `invalid`. */
export function checkMetadata(metadata: CoreMetadata, { file, name, version }: Distribution): void {
  for (const field of ['metadata-version', 'name', 'version'])
    if (metadata.fields.get(field)?.length !== 1) throw invalid(`of ${file} has not exactly one ${field}`)
  const own = { name: first(metadata, 'name') ?? '', version: first(metadata, 'version') ?? '' }
  if (normalName(own.name) !== name)
    throw invalid(`of ${file} names the project ${JSON.stringify(own.name.slice(0, 100))}`)
  if (normalVersion(own.version) !== version)
    throw invalid(`of ${file} names the version ${JSON.stringify(own.version.slice(0, 100))}`)
}

/** What installers compare their own version with; kept from what could break a page or a header. */
export function requiresPython(metadata: CoreMetadata): string | undefined {
  const value = first(metadata, 'requires-python')
  if (value === undefined || value === '') return undefined
  if (!isSpecifier(value)) throw invalid('has a Requires-Python that is none')
  return value
}

export function isSpecifier(value: string): boolean {
  return value.length <= MAX_SPECIFIER && /^[\x20-\x7e]+$/.test(value)
}

const MAX_SPECIFIER = 500
const UTF8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes)
  } catch (cause) {
    throw new RegistryError('invalid', 'The core metadata is not UTF-8', { cause, code: 'invalid_metadata' })
  }
}

/** Older tools begin each further line with blanks or with a bar. */
function unfolded(value: string): string {
  return value.replace(/\n(?: {7}\||[ \t]{1,8})/g, '\n')
}

function invalid(how: string): RegistryError {
  return new RegistryError('invalid', `The core metadata ${how}`, { code: 'invalid_metadata' })
}
