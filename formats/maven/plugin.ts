/**
 * The prefix by which a plugin is called on the command line ("mvn hello:greet"), from its jar's own descriptor. It is recorded
 * with the plugin's group, since that is where Maven looks it up.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Held, Step } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { readDirectory, type ZipLimits } from '../archive/zip.js'
import { checkHeaders, readEntry } from '../archive/zip-content.js'
import { childText, parseXml } from '../text/xml.js'
import { type PluginEntry, pluginVersion, readPlugin } from './entry.js'
import { type ArtifactPath, packageOfGroup } from './layout.js'

export const PLUGIN = 'maven-plugin'
const DESCRIPTOR = 'META-INF/maven/plugin.xml'
const DESCRIPTOR_LIMIT = 8 * 1024 * 1024
/** Only one entry is unpacked, so what the others say of themselves does not matter. */
const ZIP_LIMITS: ZipLimits = {
  directory: 16 * 1024 * 1024,
  entries: 60_000,
  name: 4096,
  bytes: 64 * 1024 ** 3,
  ratio: 1000,
  ratioFrom: 64 * 1024 ** 3,
}
const XML_LIMITS = { elements: 400_000, depth: 100 }

/** undefined: the jar describes no plugin. Throws `invalid` for one that is broken or describes another. */
export async function readDescriptor(
  repository: Repository,
  jar: Held,
  { group, artifact }: ArtifactPath,
): Promise<PluginEntry | undefined> {
  const bytes = await repository.open(jar)
  const entries = await readDirectory(bytes, ZIP_LIMITS)
  await checkHeaders(bytes, entries)
  const found = entries.find(({ name }) => name === DESCRIPTOR)
  if (!found) return undefined
  const plugin = parseXml(await readEntry(bytes, found, DESCRIPTOR_LIMIT), XML_LIMITS, `The jar's ${DESCRIPTOR}`)
  for (const [field, expected] of [
    ['groupId', group],
    ['artifactId', artifact],
  ] as const) {
    const said = childText(plugin, field)
    if (said !== undefined && said !== expected)
      throw invalid(`The jar's ${DESCRIPTOR} names the ${field} ${said.slice(0, 200)}, and its path ${expected}`)
  }
  const prefix = childText(plugin, 'goalPrefix') ?? usualPrefix(artifact)
  if (!/^[\w.-]{1,100}$/.test(prefix)) throw invalid(`${JSON.stringify(prefix.slice(0, 100))} is no plugin prefix`)
  return { prefix, artifactId: artifact, name: (childText(plugin, 'name') ?? artifact).slice(0, 500) }
}

/** What makes the group know the plugin; nothing when it does already. */
export async function pluginSteps(
  repository: Repository,
  { group, artifact }: ArtifactPath,
  plugin: PluginEntry,
  publishedAt: string,
): Promise<Step[]> {
  const [name, version, meta] = [packageOfGroup(group), pluginVersion(artifact), JSON.stringify(plugin)]
  const before = await repository.version(name, version)
  if (!before) return [{ kind: 'publish', manifest: { package: name, version, files: [], meta, publishedAt } }]
  const known = readPlugin(before.meta)
  const isSame = known?.prefix === plugin.prefix && known.name === plugin.name
  return isSame ? [] : [{ kind: 'amend', package: name, version, meta }]
}

/** Maven's own rule: maven-hello-plugin and hello-maven-plugin are both "hello". */
function usualPrefix(artifact: string): string {
  if (artifact === 'maven-plugin-plugin') return 'plugin'
  return artifact.replace(/-?maven-?/, '').replace(/-?plugin-?/, '')
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_plugin' })
}
