/**
 * Lock files of Gradle. Where only coordinates are known, what a build reads follows from the POM: the POMs that it inherits from, the
 * jar, and Gradle's module metadata if it points there. The POMs that it imports (BOMs) are not followed.
 */
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Lock, Locked, Needed } from '../../protocol/lock.js'
import type { Repository } from '../../protocol/repository.js'
import { child, childText, parseXml } from '../text/xml.js'
import { artifactAt, isSnapshot } from './layout.js'
import { readCoordinates, readVerification } from './lock/read.js'
import { POM_LIMIT } from './pom.js'
import { newestPath } from './snapshot.js'

export const lock: Lock = {
  names: 'gradle.lockfile, verification-metadata.xml, a list of group:artifact:version',
  files: [
    { name: /verification-metadata.*\.xml/, read: readVerification },
    { name: /.*\.(?:lockfile|txt)/, read: readCoordinates },
  ],
  find,
}

/** Maven itself gives up long before. */
const MAX_PARENTS = 20
const LIMITS = { elements: 100_000, depth: 200 }
/** What Gradle writes into the POM of a module that has metadata of its own. */
const MODULE_MARK = 'do_not_remove: published-with-gradle-metadata'

interface Coordinates {
  package: string
  version: string
}

interface Described {
  packaging: string
  parent: Coordinates | undefined
  hasModule: boolean
}

async function find(repository: Repository, { package: name, version, files }: Locked): Promise<Needed[]> {
  if (files.length > 0)
    return Promise.all(files.map((file) => needed(repository, `${folderOf(name, version)}/${file.name}`, file.sums)))
  const at = { package: name, version }
  const pom = await needed(repository, pathOf(at, '.pom'))
  const described = await describe(repository, pom)
  const own = [pom]
  if (described?.packaging !== 'pom') own.push(await needed(repository, pathOf(at, '.jar')))
  if (described?.hasModule) own.push(await needed(repository, pathOf(at, '.module')))
  return [...own, ...(await parents(repository, described?.parent))]
}

async function parents(repository: Repository, first: Coordinates | undefined): Promise<Needed[]> {
  const found: Needed[] = []
  for (let next = first; next && found.length < MAX_PARENTS; ) {
    const pom = await needed(repository, pathOf(next, '.pom'))
    found.push(pom)
    next = (await describe(repository, pom))?.parent
  }
  return found
}

/** Of a snapshot, the newest build. */
async function needed(repository: Repository, path: string, sums: string[] = []): Promise<Needed> {
  const asked = artifactAt(path)
  const newest = asked && isSnapshot(asked.version) ? await newestPath(repository, asked) : undefined
  return { name: path, path: newest ?? path, sums }
}

/** undefined: there is no such POM, or nobody to ask for it. */
async function describe(repository: Repository, { path = '' }: Needed): Promise<Described | undefined> {
  try {
    const file = await repository.file(path)
    if (!file) return undefined
    const bytes = await collect((await repository.open(file)).read(), POM_LIMIT)
    const project = parseXml(bytes, LIMITS, 'The POM')
    const parent = child(project, 'parent')
    const [group, artifact, version] = ['groupId', 'artifactId', 'version'].map((field) => childText(parent, field))
    return {
      packaging: childText(project, 'packaging') ?? 'jar',
      parent: group && artifact && version ? { package: `${group}:${artifact}`, version } : undefined,
      hasModule: bytes.includes(MODULE_MARK),
    }
  } catch (error) {
    if (error instanceof RegistryError && error.kind === 'unavailable') return undefined
    throw error
  }
}

function pathOf(at: Coordinates, rest: string): string {
  const artifact = at.package.slice(at.package.indexOf(':') + 1)
  return `${folderOf(at.package, at.version)}/${artifact}-${at.version}${rest}`
}

function folderOf(name: string, version: string): string {
  const colon = name.indexOf(':')
  return `${name.slice(0, colon).replaceAll('.', '/')}/${name.slice(colon + 1)}/${version}`
}
