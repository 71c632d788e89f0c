/**
 * Packuments, joined from the stored entries and streamed, so that a package of 10,000 versions costs no more memory than one
 * of ten. Three forms: full, short (what installers ask for), and write (what clients change and send back).
 */
import { setImmediate } from 'node:timers/promises'
import type { Rendered } from '../../protocol/format.js'
import type { Package, Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { isObject, own } from '../text/json.js'
import { entriesAt, readEntry } from './entry.js'
import { readNotes } from './notes.js'
import { revisionOf } from './revision.js'
import { visibleTags } from './tags.js'

export type Form = 'full' | 'short' | 'write'

export const SHORT_TYPE = 'application/vnd.npm.install-v1+json'
/** Entries that are joined before the others on this process get a turn. */
const TURN = 200

/** undefined: there is no version of such a package. */
export async function renderPackument(
  repository: Repository,
  name: string,
  form: Form,
  base: string,
): Promise<Rendered | undefined> {
  const entry = await repository.package(name)
  if (!entry) return undefined
  const versions = repository.versions(name)[Symbol.asyncIterator]()
  const first = await versions.next()
  if (first.done) return undefined
  return {
    contentType: form === 'short' ? SHORT_TYPE : 'application/json',
    body: parts(repository, entry, form, base, first.value, versions),
    modified: entry.modified,
    headers: { vary: 'accept' },
  }
}

async function* parts(
  repository: Repository,
  entry: Package,
  form: Form,
  base: string,
  first: Version,
  rest: AsyncIterator<Version>,
): AsyncGenerator<string, void, undefined> {
  const render = FORMS[form](base)
  const times = new Map<string, string>()
  const { name } = entry
  yield form === 'short'
    ? `{"name":${quote(name)},"versions":{`
    : `{"_id":${quote(name)},"name":${quote(name)},"versions":{`
  let part = ''
  try {
    for (let version: Version | undefined = first; version; version = await following(rest)) {
      part += `${times.size === 0 ? '' : ','}${quote(version.version)}:${render(version)}`
      times.set(version.version, version.publishedAt)
      if (times.size % TURN > 0) continue
      yield part
      part = ''
      await setImmediate()
    }
  } finally {
    await rest.return?.()
  }
  yield `${part}},${await tail(repository, entry, form, times, base)}`
}

/** Everything that is not a version, written last since it depends on which versions there are. */
async function tail(
  repository: Repository,
  entry: Package,
  form: Form,
  times: Map<string, string>,
  base: string,
): Promise<string> {
  const tags = visibleTags(await repository.tags(entry.name), times)
  const time = { created: entry.created, modified: entry.modified, ...Object.fromEntries(times) }
  const document =
    form === 'short'
      ? { modified: entry.modified, 'dist-tags': tags, time }
      : {
          _rev: revisionOf(entry.last),
          'dist-tags': tags,
          time,
          ...(await about(repository, entry, form, own(tags, 'latest'), base)),
        }
  return JSON.stringify(document).slice(1)
}

async function about(
  repository: Repository,
  entry: Package,
  form: Form,
  latest: string | undefined,
  base: string,
): Promise<object> {
  const { maintainers, users, readme, readmeFilename } = readNotes(entry)
  const likes = users.length === 0 ? {} : { users: Object.fromEntries(users.map((user) => [user, true])) }
  if (form === 'write') return { maintainers, ...likes }
  const newest = latest === undefined ? undefined : await repository.version(entry.name, latest)
  const shown = newest ? readEntry(entriesAt(base).full(newest.meta)) : {}
  const copied = COPIED.filter((field) => Object.hasOwn(shown, field)).map((field) => [field, shown[field]])
  return { ...Object.fromEntries(copied), maintainers, ...likes, readme, readmeFilename }
}

const COPIED = ['description', 'homepage', 'keywords', 'repository', 'author', 'contributors', 'bugs', 'license']

const FORMS: Record<Form, (base: string) => (version: Version) => string> = {
  full: (base) => {
    const { full } = entriesAt(base)
    return ({ meta }) => full(meta)
  },
  short: (base) => {
    const { short } = entriesAt(base)
    return ({ meta, package: name, version }) => short(meta, `${name}@${version}`)
  },
  // Clients send the whole document back to change a word of it, so it is kept small: what they look at, and no more.
  write: (base) => {
    const { full } = entriesAt(base)
    return ({ meta }) => slim(full(meta))
  },
}

function slim(entry: string): string {
  const { name, version, deprecated, dist } = readEntry(entry)
  const { tarball, shasum, integrity } = isObject(dist) ? dist : {}
  return JSON.stringify({ name, version, deprecated, dist: { tarball, shasum, integrity } })
}

async function following(versions: AsyncIterator<Version>): Promise<Version | undefined> {
  const next = await versions.next()
  return next.done ? undefined : next.value
}

function quote(text: string): string {
  return JSON.stringify(text)
}
