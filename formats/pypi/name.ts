/** Names of projects (PEP 503, PEP 508) and the paths of their files. In records a name is always the normalised one. */
import { RegistryError } from '../../protocol/errors.js'

/** 'Zope.Interface' and 'zope_interface' are 'zope-interface'. */
export function normalName(name: string): string {
  return name.replace(/[-_.]+/g, '-').toLowerCase()
}

/** Throws `invalid`. */
export function checkName(name: string): void {
  if (name.length > MAX_NAME || !NAME.test(name))
    throw new RegistryError(
      'invalid',
      `${JSON.stringify(name.slice(0, 100))} is no name of a project: letters, digits and single signs of ".", "_" and "-" between them`,
      { code: 'invalid_name' },
    )
}

/** Path inside the repository; `name` and `version` are normalised. What is written about the file lies beside it. */
export function filePath(name: string, version: string, file: string): string {
  return `${name}/${version}/${file}`
}

/** PEP 658: an archive's core metadata, as its own file. */
export function metadataPath(path: string): string {
  return `${path}.metadata`
}

/** PEP 740: what was attested of an archive. */
export function provenancePath(path: string): string {
  return `${path}.provenance`
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

const MAX_NAME = 100
const NAME = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/i
