/**
 * maven-metadata.xml, always made from records, so that two deploys at once lose nothing: of an artifact (its versions), of a
 * snapshot version (its builds), of a group (its plugins). An artifact and a group of the same folder share one file.
 */
import type { Rendered } from '../../protocol/format.js'
import type { Package, Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { escapeXml } from '../text/xml.js'
import { type PluginEntry, readEntry, readPlugin, readVersioning, type Versioning } from './entry.js'
import { artifactAt, buildVersion, isSnapshot, packageAt, snapshotAt, splitRest } from './layout.js'
import { buildsOf, type SnapshotBuild } from './snapshot.js'
import { sortVersions } from './version-order.js'

export interface MetadataOf {
  /** The package whose changes it follows. */
  package: string
  render: (repository: Repository) => Promise<Rendered | undefined>
}

/** `folder`: as in `metadataFolder`. */
export function metadataOf(folder: string): MetadataOf {
  const snapshot = snapshotAt(folder)
  const name = packageAt(snapshot?.folder ?? folder)
  const render = (repository: Repository) =>
    snapshot ? renderSnapshot(repository, name, snapshot.base) : renderFolder(repository, name)
  return { package: name, render }
}

async function renderFolder(repository: Repository, name: string): Promise<Rendered | undefined> {
  const known = await repository.package(name)
  if (!known) return undefined
  const versions = new Set<string>()
  const plugins: PluginEntry[] = []
  for await (const { meta } of repository.versions(name)) {
    const entry = readEntry(meta)
    if (entry?.packaging !== undefined) versions.add(entry.base)
    const plugin = readPlugin(meta)
    if (plugin) plugins.push(plugin)
  }
  if (versions.size + plugins.length === 0) return undefined
  // What another repository says stays as it says it.
  const said = readVersioning(known.meta)
  const list = said ? [...versions] : sortVersions(versions)
  if (!said) plugins.sort((a, b) => (a.artifactId < b.artifactId ? -1 : 1))
  const parts = [
    ...(versions.size === 0 ? [] : [coordinates(name), versioning(list, newestOf(versions, said), known)]),
    ...(plugins.length === 0 ? [] : [pluginList(plugins)]),
  ]
  return document(parts, known)
}

async function renderSnapshot(repository: Repository, name: string, base: string): Promise<Rendered | undefined> {
  const known = await repository.package(name)
  const builds = (await buildsOf(repository, name, base)).filter(({ entry }) => entry.packaging !== undefined)
  const [newest] = builds
  if (!known || !newest) return undefined
  const { timestamp, number } = newest.build
  const latest = `${element('timestamp', timestamp)}${element('buildNumber', String(number))}`
  const body = `<snapshot>${latest}</snapshot>${element('lastUpdated', timestamp.replace('.', ''))}<snapshotVersions>${snapshotVersions(base, builds)}</snapshotVersions>`
  return document([coordinates(name), element('version', base), `<versioning>${body}</versioning>`], known)
}

/** Of every classifier and extension, the newest build that has it. `builds`: newest first. */
function snapshotVersions(base: string, builds: SnapshotBuild[]): string {
  const rows = new Map<string, string>()
  for (const { version, build } of builds) {
    for (const rest of restsOf(version)) {
      if (rows.has(rest)) continue
      const { classifier, extension } = splitRest(rest)
      const updated = element('updated', build.timestamp.replace('.', ''))
      const kind = `${optional('classifier', classifier || undefined)}${element('extension', extension)}`
      rows.set(
        rest,
        `<snapshotVersion>${kind}${element('value', buildVersion(base, build))}${updated}</snapshotVersion>`,
      )
    }
  }
  return [...rows.values()].join('')
}

function restsOf(version: Version): string[] {
  return version.files.flatMap(({ path }) => artifactAt(path)?.rest ?? [])
}

/** As it was said, unless that names a version that is not to be used here. */
function newestOf(versions: ReadonlySet<string>, said: Versioning | undefined): Versioning {
  const sorted = sortVersions(versions)
  const newest = { latest: sorted.at(-1), release: sorted.findLast((version) => !isSnapshot(version)) }
  if (!said) return newest
  const choose = (name: keyof Versioning) => {
    const version = said[name]
    return version === undefined || versions.has(version) ? version : newest[name]
  }
  return { latest: choose('latest'), release: choose('release') }
}

function versioning(versions: string[], { latest, release }: Versioning, { modified }: Package): string {
  const list = versions.map((version) => element('version', version)).join('')
  const updated = element('lastUpdated', modified.replace(/\D/g, '').slice(0, 14))
  return `<versioning>${optional('latest', latest)}${optional('release', release)}<versions>${list}</versions>${updated}</versioning>`
}

function pluginList(plugins: PluginEntry[]): string {
  const rows = plugins.map(
    ({ name, prefix, artifactId }) =>
      `<plugin>${element('name', name)}${element('prefix', prefix)}${element('artifactId', artifactId)}</plugin>`,
  )
  return `<plugins>${rows.join('')}</plugins>`
}

function coordinates(name: string): string {
  const colon = name.indexOf(':')
  return element('groupId', name.slice(0, colon)) + element('artifactId', name.slice(colon + 1))
}

function element(name: string, text: string): string {
  return `<${name}>${escapeXml(text)}</${name}>`
}

function optional(name: string, text: string | undefined): string {
  return text === undefined ? '' : element(name, text)
}

function document(parts: string[], { modified }: Package): Rendered {
  // One element per line: people read it, and it compresses to nothing.
  const lines = parts.join('').replace(/(<\/[^>]+>|<[a-z]\w*>(?=<))/gi, '$1\n')
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<metadata modelVersion="1.1.0">\n${lines}</metadata>\n`
  return { contentType: 'application/xml', body, modified }
}
