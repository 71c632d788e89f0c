/** A crate as search and GET /api/v1/crates/{crate} show it, and the latter with all of its versions. */
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Package, Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { knownCrate } from './known.js'
import { type Line, readLine } from './line.js'
import { type Notes, readNotes } from './notes.js'
import { isNewer, isStable } from './version.js'

const NO_VERSION = '0.0.0'
const MAX_SHOWN = 5000

export async function readCrate(call: Call<{ crate: string }>): Promise<Reply> {
  const entry = await knownCrate(call.repository, call.params.crate)
  const versions = []
  for await (const version of call.repository.versions(entry.name)) {
    versions.push(describe(version, readLine(version.meta)))
    if (versions.length === MAX_SHOWN) break
  }
  const crate = await summaryOf(call, entry, readNotes(entry))
  return json({ crate, versions: versions.reverse() }, 200, { 'cache-control': 'no-store' })
}

export async function summaryOf(
  { repository }: Pick<Call<unknown>, 'repository'>,
  entry: Package,
  notes: Notes | undefined,
) {
  const name = notes?.name ?? entry.name
  const { description = '', homepage, documentation, repository: source, keywords, categories } = notes?.about ?? {}
  return {
    id: name,
    name,
    ...(await highest(repository, entry.name)),
    description,
    homepage: homepage || null,
    documentation: documentation || null,
    repository: source || null,
    keywords: keywords ?? [],
    categories: categories ?? [],
    created_at: entry.created,
    updated_at: entry.modified,
  }
}

/** Of the versions that can be chosen; prereleases count only where there is nothing else. */
async function highest(repository: Repository, id: string) {
  let best: string | undefined
  for await (const { meta } of repository.versions(id)) {
    const { vers, yanked } = readLine(meta)
    if (!yanked && (best === undefined || isNewer(vers, best))) best = vers
  }
  return { max_version: best ?? NO_VERSION, max_stable_version: best !== undefined && isStable(best) ? best : null }
}

function describe({ publishedAt, files: [file] }: Version, { name, vers, cksum, yanked, fields }: Line) {
  return {
    crate: name,
    num: vers,
    yanked,
    checksum: cksum,
    crate_size: file && 'size' in file ? file.size : null,
    rust_version: fields.rust_version ?? null,
    features: { ...asObject(fields.features), ...asObject(fields.features2) },
    links: fields.links ?? null,
    created_at: publishedAt,
    dl_path: `/api/v1/crates/${name}/${encodeURIComponent(vers)}/download`,
  }
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}
