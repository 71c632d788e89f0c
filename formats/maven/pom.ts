/** What a POM says about itself. It must be in order and agree with where it is put; nothing else in it is looked at. */
import { RegistryError } from '../../protocol/errors.js'
import { child, childText, parseXml } from '../text/xml.js'
import { type ArtifactPath, isSnapshot } from './layout.js'

export interface Pom {
  packaging: string
}

/** Bytes. */
export const POM_LIMIT = 4 * 1024 * 1024
const LIMITS = { elements: 100_000, depth: 200 }

/** Throws `invalid`. */
export function parsePom(bytes: Uint8Array, at: ArtifactPath): Pom {
  const project = parseXml(bytes, LIMITS, 'The POM')
  if (project.name !== 'project') throw invalid(`The POM begins with <${project.name}>, not with <project>`)
  const parent = child(project, 'parent')
  const inherited = (field: string) => childText(project, field) ?? childText(parent, field)
  agree('groupId', inherited('groupId'), at.group)
  agree('artifactId', childText(project, 'artifactId'), at.artifact)
  agree('version', inherited('version'), ...(isSnapshot(at.base) ? [at.base, at.version] : [at.base]))
  return { packaging: childText(project, 'packaging') ?? 'jar' }
}

/** What a build fills in when it runs ("${revision}") is deployed as it is by Maven 3, so it cannot be compared. */
function agree(field: string, found: string | undefined, ...expected: string[]): void {
  if (found === undefined) throw invalid(`The POM names no ${field}`)
  if (!found.includes('${') && !expected.includes(found))
    throw invalid(`The POM names the ${field} ${found.slice(0, 200)}, and its path ${expected[0] ?? ''}`)
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_pom' })
}
