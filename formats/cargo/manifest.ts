/** What a crate's Cargo.toml says of itself. Cargo writes it anew when it packs, in plain tables, so no other spelling is read. */
import { RegistryError } from '../../protocol/errors.js'
import { parseToml, tableAt, textAt } from '../text/toml.js'

export interface Manifest {
  name: string
  version: string
  links?: string
  rustVersion?: string
}

/** Throws `invalid`. */
export function parseManifest(bytes: Uint8Array): Manifest {
  const found = tableAt(parseToml(decode(bytes), "The crate's Cargo.toml"), 'package')
  const [name, version, links, rustVersion] = WANTED.map((key) => textAt(found, key))
  if (name === undefined || version === undefined) throw invalid('has no name and version under [package]')
  return {
    name,
    version,
    ...(links === undefined ? {} : { links }),
    ...(rustVersion === undefined ? {} : { rustVersion }),
  }
}

const WANTED = ['name', 'version', 'links', 'rust-version']
const UTF8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes)
  } catch (cause) {
    throw new RegistryError('invalid', "The crate's Cargo.toml is not UTF-8", { cause, code: 'invalid_crate' })
  }
}

function invalid(how: string): RegistryError {
  return new RegistryError('invalid', `The crate's Cargo.toml ${how}`, { code: 'invalid_crate' })
}
