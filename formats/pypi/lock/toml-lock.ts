/**
 * uv.lock, poetry.lock and pylock.toml (PEP 751): packages with their files, of which each is a table.
 *
 *     uv       [[package]]  source = { registry = "…" }  sdist = { url = "…", hash = "sha256:…" }  wheels = [{ … }]
 *     Poetry   [[package]]  files = [{ file = "…", hash = "sha256:…" }]      or all of them under [metadata.files]
 *     PEP 751  [[packages]] sdist = { name = "…", hashes = { sha256 = "…" } }  wheels = [{ … }]
 */
import { RegistryError } from '../../../protocol/errors.js'
import type { LockContent, LockedFile } from '../../../protocol/lock.js'
import { parseToml, type TomlTable, tableAt, tablesAt, textAt } from '../../text/toml.js'
import { normalName } from '../name.js'
import { normalVersion } from '../version.js'

export function readTomlLock(source: string): LockContent {
  const document = parseToml(source, 'The lock file')
  const older = tableAt(tableAt(document, 'metadata'), 'files')
  const packages = [...tablesAt(document, 'package'), ...tablesAt(document, 'packages')]
  if (packages.length === 0 && !document.has('metadata') && !/^(?:lock-)?version\b/m.test(source))
    throw new RegistryError('invalid', 'The lock file is none of uv, Poetry or PEP 751')
  const content: LockContent = { locked: [], elsewhere: [] }
  for (const table of packages) {
    const [name, version] = [textAt(table, 'name') ?? '', textAt(table, 'version') ?? '']
    const origin = originOf(table)
    if (origin === 'project') continue
    if (origin !== 'index') content.elsewhere.push(`${name} (${origin})`)
    else {
      const listed = filesOf(table)
      const files = listed.length > 0 ? listed : tablesAt(older, name).flatMap(fileOf)
      content.locked.push({ package: normalName(name), version: normalVersion(version) ?? version, files })
    }
  }
  return content
}

/** 'index', 'project' for the project's own parts, or where else a package comes from. */
function originOf(table: TomlTable): string {
  const source = tableAt(table, 'source')
  // Poetry's: every type but this one is a place of its own.
  const type = textAt(source, 'type')
  if (type !== undefined) return type === 'legacy' ? 'index' : (textAt(source, 'url') ?? type)
  for (const own of ['virtual', 'editable', 'directory']) if (source.has(own)) return 'project'
  for (const other of ['git', 'url', 'path']) if (source.has(other)) return textAt(source, other) ?? other
  for (const other of ['vcs', 'directory', 'archive'])
    if (table.has(other)) return textAt(tableAt(table, other), 'url') ?? textAt(tableAt(table, other), 'path') ?? other
  return 'index'
}

function filesOf(table: TomlTable): LockedFile[] {
  const sdist = table.has('sdist') ? [tableAt(table, 'sdist')] : []
  return [...sdist, ...tablesAt(table, 'wheels'), ...tablesAt(table, 'files')].flatMap(fileOf)
}

function fileOf(table: TomlTable): LockedFile[] {
  const address = textAt(table, 'url') ?? textAt(table, 'path') ?? ''
  const name = textAt(table, 'file') ?? textAt(table, 'name') ?? lastOf(address)
  const bare = textAt(tableAt(table, 'hashes'), 'sha256')
  const sum = textAt(table, 'hash') ?? (bare === undefined ? undefined : `sha256:${bare}`)
  return name === '' ? [] : [{ name, sums: sum?.startsWith('sha256:') ? [sum] : [] }]
}

function lastOf(address: string): string {
  const path = address.replace(/[?#].*$/, '')
  const name = path.slice(path.lastIndexOf('/') + 1)
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
