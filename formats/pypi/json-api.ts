/**
 * GET /pypi/{project}/json and /pypi/{project}/{version}/json, which poetry and update bots read. What a version says about
 * itself comes from the core metadata that lies beside its files.
 */
import { collect } from '../../protocol/chunks.js'
import type { Call, Rendered } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { Version } from '../../protocol/records.js'
import { type Listed, listed, readEntry } from './entry.js'
import { parseFilename } from './filename.js'
import { describe } from './info.js'
import { METADATA_LIMIT, parseMetadata } from './metadata.js'
import { encodePath, metadataPath, normalName } from './name.js'
import { noProject } from './simple.js'
import { movedTo } from './simple-form.js'
import { compareVersions, isPrerelease, normalVersion, parseVersion } from './version.js'

export async function readProjectJson(call: Call<{ name: string }>): Promise<Reply> {
  const name = normalName(call.params.name)
  if (name !== call.params.name) return movedTo(call, `pypi/${encodePath(name)}/json`)
  return call.index(name, 'json api', () => render(call, name, undefined))
}

export async function readVersionJson(call: Call<{ name: string; version: string }>): Promise<Reply> {
  const name = normalName(call.params.name)
  const version = normalVersion(call.params.version) ?? call.params.version
  if (name !== call.params.name || version !== call.params.version)
    return movedTo(call, `pypi/${encodePath(`${name}/${version}`)}/json`)
  return call.index(name, `json api ${version}`, () => render(call, name, version))
}

/** The newest version that is neither yanked nor a prerelease, or else the newest that there is. */
function latestOf(versions: readonly Pick<Version, 'version' | 'meta'>[], isYanked: (meta: string) => boolean) {
  const known = versions.flatMap((entry) => {
    const parsed = parseVersion(entry.version)
    return parsed
      ? [{ version: entry.version, parsed, rank: (isYanked(entry.meta) ? 2 : 0) + (isPrerelease(parsed) ? 1 : 0) }]
      : []
  })
  known.sort((a, b) => a.rank - b.rank || compareVersions(b.parsed, a.parsed))
  return known[0]?.version
}

async function render(call: Call<unknown>, name: string, asked: string | undefined): Promise<Rendered> {
  const { repository, base } = call
  const entry = await repository.package(name)
  const versions = await releases(call, name)
  const version = asked ?? latestOf([...versions.values()], (meta) => readEntry(meta).yanked !== undefined)
  const shown = version === undefined ? undefined : versions.get(version)
  if (!entry || !shown) throw noProject(asked === undefined ? name : `${name} ${asked}`, repository)
  const files = (one: Version) => listed(one).map((file) => jsonFile(file, base))
  const document = {
    info: describe(await metadataOf(call, shown), name, shown, base),
    last_serial: entry.last,
    ...(asked === undefined
      ? { releases: Object.fromEntries([...versions].map(([each, one]) => [each, files(one)])) }
      : {}),
    urls: files(shown),
    vulnerabilities: [],
  }
  return { contentType: 'application/json', body: JSON.stringify(document), modified: entry.modified }
}

async function releases({ repository }: Call<unknown>, name: string): Promise<Map<string, Version>> {
  const found = new Map<string, Version>()
  for await (const version of repository.versions(name)) found.set(version.version, version)
  return found
}

/** That of a wheel, where there is one. undefined: nothing is recorded. */
async function metadataOf({ repository, request }: Call<unknown>, version: Version) {
  const files = listed(version)
  const file = files.find(({ metadata }) => metadata !== undefined) ?? files[0]
  const path = file && metadataPath(file.path)
  if (!version.files.some((one) => one.path === path)) return undefined
  const held = path === undefined ? undefined : await repository.file(path)
  if (!held || held.size > METADATA_LIMIT) return undefined
  return parseMetadata(await collect((await repository.open(held)).read(undefined, request.signal), held.size))
}

function jsonFile(file: Listed, base: string) {
  const { path, hashes, size, blake2, requiresPython, uploaded, yanked } = file
  const { kind, python } = parseFilename(file.file)
  const { md5, sha256 } = hashes
  return {
    comment_text: '',
    digests: { ...(blake2 ? { blake2b_256: blake2 } : {}), ...(md5 ? { md5 } : {}), ...(sha256 ? { sha256 } : {}) },
    downloads: -1,
    filename: file.file,
    has_sig: false,
    ...(md5 ? { md5_digest: md5 } : {}),
    packagetype: kind,
    python_version: python,
    requires_python: requiresPython ?? null,
    size: size ?? 0,
    upload_time: uploaded.replace(/(?:\.\d+)?Z$/, ''),
    upload_time_iso_8601: uploaded,
    url: `${base}/${encodePath(path)}`,
    yanked: yanked !== undefined,
    yanked_reason: yanked === undefined || yanked === '' ? null : yanked,
  }
}
