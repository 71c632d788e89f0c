/** GET /v2/_catalog: the names of all images that somebody may see. Docker's, not the specification's; skopeo and others ask for it. */
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Repository } from '../../protocol/repository.js'
import type { RootCall } from '../../protocol/root.js'
import { packagesWithin } from '../search/packages.js'
import { VERSION_HEADER } from './failure.js'
import { isBlobs } from './name.js'
import { inOrder, linkTo, type PageAsked, pageAsked } from './page.js'
import { demandToken } from './ping.js'

interface Listed {
  repository: Repository
  reads: (path: string) => boolean
  reach: readonly string[]
  /** What stands before the names of its images. */
  before: string
}

const PAGE = 100
const READ_AT_ONCE = 500

export async function catalogOfAll(call: RootCall): Promise<Reply> {
  const principal = await demandToken(call)
  const listed = call.repositories(principal).map((each) => ({ ...each, before: `${each.repository.key}/` }))
  return catalog(listed, call.request.query, '/v2/_catalog')
}

/** The same for one repository, below its own address. */
export async function catalogOfOne(call: Call<unknown>): Promise<Reply> {
  const { repository, request } = call
  const reads = (path: string) => call.may('read', path)
  const listed = [{ repository, reads, reach: call.reach(), before: '' }]
  return catalog(listed, request.query, request.path)
}

async function catalog(listed: Listed[], query: string, path: string): Promise<Reply> {
  const asked = pageAsked(new URLSearchParams(query), PAGE)
  // One more than asked for, which tells whether there are more.
  const found: string[] = []
  for (const each of listed.sort((a, b) => inOrder(a.before, b.before)))
    for await (const name of namesOf(each, asked)) if (found.push(name) > asked.n) return page(found, asked, path)
  return page(found, asked, path)
}

function page(found: string[], asked: PageAsked, path: string): Reply {
  const repositories = found.slice(0, asked.n)
  const last = repositories.at(-1)
  const more = last !== undefined && found.length > asked.n ? { link: linkTo(path, asked, last) } : {}
  return json({ repositories }, 200, { ...VERSION_HEADER, 'cache-control': 'no-store', ...more })
}

async function* namesOf(
  { repository, reads, reach, before }: Listed,
  { last }: PageAsked,
): AsyncGenerator<string, void, undefined> {
  if (last > before && !last.startsWith(before)) return
  const after = last.startsWith(before) ? last.slice(before.length) : ''
  for await (const packages of packagesWithin(repository, reach, { atOnce: READ_AT_ONCE, after }))
    for (const { name } of packages) if (!isBlobs(name) && reads(name)) yield before + name
}
