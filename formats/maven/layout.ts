// Maven's layout of a repository, the only place that takes paths apart:
//
//     {g/r/o/u/p}/{artifact}/{version}/{artifact}-{version}[-{classifier}].{extension}
//     {g/r/o/u/p}/{artifact}/1.1-SNAPSHOT/{artifact}-1.1-20261120.042440-1[-{classifier}].{extension}     one build of a snapshot
//     {g/r/o/u/p}/{artifact}/1.1-SNAPSHOT/{artifact}-1.1-SNAPSHOT[-{classifier}].{extension}              the newest of them
//     {folder}/maven-metadata.xml            of a group, an artifact, or a snapshot version
//     {any of these}.{md5,sha1,sha256,sha512}
//
// A package is called group:artifact. Its versions are releases, and the builds of snapshots (1.1-20261120.042440-1).
import { RegistryError } from '../../protocol/errors.js'
import { checkPath } from '../generic/path.js'

export interface Build {
  /** yyyyMMdd.HHmmss, UTC. */
  timestamp: string
  number: number
}

export interface ArtifactPath {
  path: string
  package: string
  group: string
  artifact: string
  /** The version as POMs name it: of a snapshot, the one that ends with SNAPSHOT. */
  base: string
  /** As the record names it; of a file that is not of one build, equal to `base`. */
  version: string
  /** What the file name has behind the version, such as '-sources.jar'. */
  rest: string
}

export type Checksum = 'md5' | 'sha1' | 'sha256' | 'sha512'

export const METADATA = 'maven-metadata.xml'
const SNAPSHOT = 'SNAPSHOT'
const ID = /^[A-Za-z0-9_.-]+$/
const BUILD = /^(.*)(\d{8}\.\d{6})-(\d{1,9})$/

/** Throws `invalid` for what no build tool would look for. */
export function parseArtifact(path: string): ArtifactPath {
  checkPath(path)
  const segments = path.split('/')
  const [file = '', base = '', artifact = ''] = segments.splice(-3).reverse()
  if (segments.length === 0)
    throw invalid(`${path} is not of the form group/artifact/version/artifact-version.extension`)
  for (const segment of [...segments, artifact])
    if (!ID.test(segment)) throw invalid(`${JSON.stringify(segment)} is no part of a group or artifact id`)
  if (segments.some((segment) => segment.includes('.'))) throw invalid('A group is spelled with slashes in a path')
  if (/[:"<>|?*]/.test(base)) throw invalid(`${JSON.stringify(base)} is no version`)
  if (!isSnapshot(base) && isBuild(base)) throw invalid(`${base} is a build of a snapshot: it belongs into that folder`)
  const group = segments.join('.')
  const named = takeFile(file, artifact, base)
  if (!named) throw invalid(`${file} does not name the version ${base} that its folder names`)
  return { path, package: `${group}:${artifact}`, group, artifact, base, ...named }
}

/** undefined where `parseArtifact` throws. */
export function artifactAt(path: string): ArtifactPath | undefined {
  try {
    return parseArtifact(path)
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

/** The path of the same file in one build. */
export function pathInBuild({ path, version, rest }: ArtifactPath, build: string): string {
  return path.slice(0, path.length - rest.length - version.length) + build + rest
}

/** undefined: the path is no checksum's. */
export function checksumOf(path: string): { path: string; algorithm: Checksum } | undefined {
  const [, of, algorithm] = /^(.+)\.(md5|sha1|sha256|sha512)$/s.exec(path) ?? []
  return of === undefined ? undefined : { path: of, algorithm: algorithm as Checksum }
}

/** The folder that a maven-metadata.xml describes; undefined: the path is none's. */
export function metadataFolder(path: string): string | undefined {
  return path.endsWith(`/${METADATA}`) ? path.slice(0, -METADATA.length - 1) : undefined
}

/** The package whose artifact folder this is. A group's plugins are recorded under the same name: their metadata is one file. */
export function packageAt(folder: string): string {
  const slash = folder.lastIndexOf('/')
  return `${folder.slice(0, Math.max(0, slash)).replaceAll('/', '.')}:${folder.slice(slash + 1)}`
}

/** The reverse of `packageAt`; undefined: no folder is called so. */
export function folderOf(name: string): string | undefined {
  const [group = '', artifact = '', more] = name.split(':')
  const segments = [...(group === '' ? [] : group.split('.')), artifact]
  if (more !== undefined || segments.some((segment) => !ID.test(segment) || /^\.+$/.test(segment))) return undefined
  return segments.join('/')
}

/** A snapshot version's folder as the artifact's own and the version; undefined: it is none. */
export function snapshotAt(folder: string): { folder: string; base: string } | undefined {
  const slash = folder.lastIndexOf('/')
  const base = folder.slice(slash + 1)
  return slash > 0 && isSnapshot(base) ? { folder: folder.slice(0, slash), base } : undefined
}

/** May it be another file next time: metadata of a snapshot, and its newest build under the name without a build. */
export function isMoving(path: string): boolean {
  const slash = path.lastIndexOf('/')
  if (!isSnapshot(path.slice(0, Math.max(0, slash)))) return false
  if (metadataFolder(path) !== undefined) return true
  const at = artifactAt(path)
  return at !== undefined && at.version === at.base
}

export function packageOfGroup(group: string): string {
  return packageAt(group.replaceAll('.', '/'))
}

export function isSnapshot(version: string): boolean {
  return version.endsWith(SNAPSHOT)
}

/** The build that a recorded version is; undefined for a release. */
export function buildOf(version: string): Build | undefined {
  const [, , timestamp, number] = BUILD.exec(version) ?? []
  return timestamp === undefined ? undefined : { timestamp, number: Number(number) }
}

export function buildVersion(base: string, { timestamp, number }: Build): string {
  return `${base.slice(0, -SNAPSHOT.length)}${timestamp}-${number}`
}

/** '-sources.jar' as a classifier and an extension. A classifier may hold dots ("jdk1.5"), and some extensions do. */
export function splitRest(rest: string): { classifier: string; extension: string } {
  const [, classifier = '', extension] =
    /^(?:-(.+?))?\.((?:tar\.)?[^.]+(?:\.(?:asc|sig|sigstore|sigstore\.json))?)$/.exec(rest) ?? []
  return extension === undefined ? { classifier: '', extension: rest.replace(/^[-.]/, '') } : { classifier, extension }
}

function isBuild(version: string): boolean {
  return /-\d{8}\.\d{6}-\d{1,9}$/.test(version)
}

function takeFile(file: string, artifact: string, base: string): { version: string; rest: string } | undefined {
  const literal = behind(file, artifact, base)
  if (literal !== undefined && /^[.-]./.test(literal)) return { version: base, rest: literal }
  if (!isSnapshot(base)) return undefined
  const stem = base.slice(0, -SNAPSHOT.length)
  const [, build, rest] = /^(\d{8}\.\d{6}-\d{1,9})([.-].+)$/.exec(behind(file, artifact, stem) ?? '') ?? []
  return build === undefined || rest === undefined ? undefined : { version: stem + build, rest }
}

/** Most files are called like their artifact; Ivy's own descriptor and sbt's plugins are not. */
function behind(file: string, artifact: string, version: string): string | undefined {
  if (file.startsWith(`${artifact}-${version}`)) return file.slice(artifact.length + 1 + version.length)
  const at = file.indexOf(`-${version}`, 1)
  return at < 0 ? undefined : file.slice(at + 1 + version.length)
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_path' })
}
