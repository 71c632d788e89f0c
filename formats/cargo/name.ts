/**
 * Names of crates. Two that differ only by case or by "-" and "_" are one crate: records carry the name in lower case with "-",
 * and the crate keeps the spelling of its first publish. Rules: the registry index chapter of cargo's book.
 */
import { RegistryError } from '../../protocol/errors.js'

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
/** Folders that Windows cannot have, and crates that come with the compiler. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d|std|core|alloc|proc-macro|test)$/

/** Throws `invalid`: may a crate be called so. */
export function checkName(name: string): void {
  if (!NAME.test(name))
    throw new RegistryError(
      'invalid',
      `${JSON.stringify(name.slice(0, 100))} is not a crate name: a letter, then at most 63 letters, digits, "-" and "_"`,
    )
  if (RESERVED.test(idOf(name))) throw new RegistryError('invalid', `${name} is a reserved name`)
}

/** The name in records, which all spellings share. */
export function idOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/** Where cargo looks for a crate's versions: "1/a", "2/ab", "3/a/abc", "ab/cd/abcd". */
export function indexPath(name: string): string {
  const lower = name.toLowerCase()
  return `${indexFolder(lower)}/${lower}`
}

export function indexFolder(name: string): string {
  if (name.length < 3) return String(name.length)
  return name.length === 3 ? `3/${name.charAt(0)}` : `${name.slice(0, 2)}/${name.slice(2, 4)}`
}

export function cratePath(name: string, version: string): string {
  return `${idOf(name)}/${name}-${version}.crate`
}
