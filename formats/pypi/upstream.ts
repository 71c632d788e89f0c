/**
 * How another Python index is read: a project's page becomes a listing by version, with entries as hosted versions have them, so
 * that both are shown the same way. Files get the paths that they have everywhere.
 */
import type { Asking, Offering, Upstream } from '../../protocol/format.js'
import type { Offer } from '../../protocol/kinds/listing.js'
import type { Offered, Promised } from '../../protocol/records.js'
import { type Note, writeEntry } from './entry.js'
import { type Distribution, parseFilename } from './filename.js'
import { checkName, encodePath, metadataPath, normalName, provenancePath } from './name.js'
import { type Link, parsePage } from './upstream-page.js'

const ACCEPT =
  'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.2, */*;q=0.01'
const BEGINNING = '1970-01-01T00:00:00.000Z'

export const upstream: Upstream = {
  listing: {
    /** The upstream's address is what pip has as its --index-url; of a host alone, its /simple/. */
    ask: (name, { pathname }) =>
      isName(name)
        ? { path: `${pathname === '/' ? 'simple/' : ''}${encodePath(name)}/`, headers: { accept: ACCEPT } }
        : undefined,
    parse: parseProject,
    packageOf: (path) => {
      const [name = '', version, file, more] = path.split('/')
      return version && file && more === undefined && isName(name) ? name : undefined
    },
  },
}

/** Files whose names cannot be read, or are of another project, are left out. Throws `invalid`, `upstream`. */
export function parseProject(name: string, document: Uint8Array, { url }: Pick<Asking, 'url'>): Offering {
  const { links, status } = parsePage(name, document, new URL(url))
  const urls = new Map<string, string>()
  const releases = new Map<string, Release>()
  for (const link of links) {
    const distribution = distributionOf(link)
    if (distribution?.name !== name || urls.has(distribution.path)) continue
    const { version } = distribution
    const release = releases.get(version) ?? new Release(version)
    releases.set(version, release)
    release.add(distribution, link, urls)
  }
  const versions = [...releases.values()].map((release) => release.offer())
  versions.sort((a, b) => (a.publishedAt < b.publishedAt ? -1 : a.publishedAt > b.publishedAt ? 1 : 0))
  return { created: versions[0]?.publishedAt || BEGINNING, modified: '', meta: status, tags: {}, versions, urls }
}

class Release {
  readonly #version: string
  readonly #links: Link[] = []
  readonly #files: Offered[] = []

  constructor(version: string) {
    this.#version = version
  }

  add({ path, kind }: Distribution, link: Link, urls: Map<string, string>): void {
    const offer = (at: string, url: string, promised: Promised): void => {
      urls.set(at, url)
      this.#files.push({ path: at, offered: true, ...(Object.keys(promised).length === 0 ? {} : { promised }) })
    }
    this.#links.push(link)
    offer(path, link.url.href, link.promised)
    if (kind === 'bdist_wheel' && link.metadata !== undefined)
      offer(metadataPath(path), besides(link.url), link.metadata === true ? {} : { sha256: link.metadata })
    if (link.provenance) offer(provenancePath(path), link.provenance.href, {})
  }

  offer(): Offer {
    const times = this.#links.map(({ uploaded }) => uploaded ?? '').sort()
    const [first] = this.#links
    const isYanked = this.#links.every(({ yanked }) => yanked !== undefined)
    const files = this.#links.map((link): [string, Note] => [link.file, noteOf(link, isYanked)])
    return {
      version: this.#version,
      publishedAt: times[0] ?? '',
      files: this.#files,
      meta: writeEntry({
        files: Object.fromEntries(files),
        ...(isYanked && first?.yanked !== undefined ? { yanked: first.yanked } : {}),
      }),
    }
  }
}

function noteOf({ uploaded, requiresPython, size, yanked }: Link, isVersionYanked: boolean): Note {
  return {
    ...(uploaded === undefined ? {} : { uploaded }),
    ...(requiresPython === undefined ? {} : { requiresPython }),
    ...(size === undefined ? {} : { size }),
    ...(yanked === undefined || isVersionYanked ? {} : { yanked }),
  }
}

/** PEP 658 puts the core metadata beside the file. */
function besides(url: URL): string {
  const beside = new URL(url)
  beside.pathname += '.metadata'
  return beside.href
}

function distributionOf({ file }: Link): Distribution | undefined {
  try {
    return parseFilename(file)
  } catch {
    return undefined
  }
}

function isName(name: string): boolean {
  try {
    checkName(name)
    return normalName(name) === name
  } catch {
    return false
  }
}
