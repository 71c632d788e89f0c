/**
 * Gradle's two files. gradle.lockfile names coordinates ('group:artifact:version=configurations'), as do lists of them with one a line;
 * verification-metadata.xml names every file with its hashes.
 */
import { RegistryError } from '../../../protocol/errors.js'
import type { LockContent, Locked, LockedFile } from '../../../protocol/lock.js'
import { child, parseXml, type XmlElement } from '../../text/xml.js'

const LIMITS = { elements: 1_000_000, depth: 20 }
/** The strongest that there is. */
const ALGORITHMS = ['sha512', 'sha256', 'sha1', 'md5']
const COORDINATES = /^([A-Za-z0-9_.-]+):([A-Za-z0-9_.-]+):([^\s:=@]+)(?:@[a-z]+)?(?:=.*)?$/

export function readCoordinates(source: string): LockContent {
  const locked: Locked[] = []
  for (const [i, line] of source.split(/\r?\n/).entries()) {
    const text = line.trim()
    // Configurations without dependencies stand behind 'empty='.
    if (text === '' || text.startsWith('#') || text.startsWith('empty=')) continue
    const [, group, artifact, version] = COORDINATES.exec(text) ?? []
    if (group === undefined || artifact === undefined || version === undefined)
      throw new RegistryError('invalid', `Line ${i + 1} is not of the form group:artifact:version`)
    locked.push({ package: `${group}:${artifact}`, version, files: [] })
  }
  return { locked, elsewhere: [] }
}

export function readVerification(source: string): LockContent {
  const document = parseXml(Buffer.from(source), LIMITS, 'The lock file')
  if (document.name !== 'verification-metadata')
    throw new RegistryError('invalid', "The lock file is not Gradle's verification-metadata.xml")
  const components = child(document, 'components')?.children ?? []
  return { locked: components.map(lockedBy), elsewhere: [] }
}

function lockedBy(component: XmlElement): Locked {
  const [group, name, version] = ['group', 'name', 'version'].map((key) => component.attributes.get(key) ?? '')
  const files = component.children.flatMap((artifact): LockedFile[] => {
    const file = artifact.attributes.get('name')
    return artifact.name !== 'artifact' || file === undefined ? [] : [{ name: file, sums: sumsOf(artifact) }]
  })
  return { package: `${group}:${name}`, version: version ?? '', files }
}

function sumsOf(artifact: XmlElement): string[] {
  const algorithm = ALGORITHMS.find((each) => artifact.children.some(({ name }) => name === each))
  const found = artifact.children.filter(({ name }) => name === algorithm)
  return found
    .flatMap((sum) => [sum, ...sum.children.filter(({ name }) => name === 'also-trust')])
    .flatMap(({ attributes }) => attributes.get('value') ?? [])
    .map((value) => `${algorithm}:${value.toLowerCase()}`)
}
