/** Cargo.lock, and the .crate that a locked version needs. The workspace's own crates have no source there. */
import { RegistryError } from '../../protocol/errors.js'
import type { Lock, LockContent, Locked, Needed } from '../../protocol/lock.js'
import type { Repository } from '../../protocol/repository.js'
import { parseToml, tableAt, tablesAt, textAt } from '../text/toml.js'
import { findVersion } from './known.js'

export const lock: Lock = {
  names: 'Cargo.lock',
  files: [{ name: /[Cc]argo.*\.lock/, read: readCargoLock }],
  find,
}

const REGISTRY = /^(?:registry|sparse)\+/

function readCargoLock(source: string): LockContent {
  const document = parseToml(source, 'The lock file')
  // Until cargo 1.41.
  const older = tableAt(document, 'metadata')
  const packages = tablesAt(document, 'package')
  if (packages.length === 0) throw new RegistryError('invalid', "The lock file is not one of cargo's")
  const content: LockContent = { locked: [], elsewhere: [] }
  for (const table of packages) {
    const [name, version, from] = ['name', 'version', 'source'].map((key) => textAt(table, key) ?? '')
    if (name === undefined || version === undefined || !from) continue
    const sum = textAt(table, 'checksum') ?? textAt(older, `checksum ${name} ${version} (${from})`)
    if (!REGISTRY.test(from)) content.elsewhere.push(`${name} (${from})`)
    else content.locked.push({ package: name.toLowerCase(), version, files: [{ sums: sum ? [`sha256:${sum}`] : [] }] })
  }
  return content
}

async function find(repository: Repository, { package: name, version, files }: Locked): Promise<Needed[] | undefined> {
  const path = (await findVersion(repository, name, version))?.entry.files[0]?.path
  return path === undefined ? undefined : [{ name: path, path, sums: files[0]?.sums ?? [] }]
}
