/**
 * GET /{folder}/: what lies there, as HTML or (Accept: application/json, or ?format=json) as JSON, in pages (?limit, ?after).
 * ?recursive lists all files below. Nobody sees a name that the gate would not let them read. The work of a page is bounded,
 * so a page may be short and still have a next one.
 */
import { createHash } from 'node:crypto'
import { sections } from '../../protocol/access/path.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { FileRecord } from '../../protocol/records.js'
import { escapeHtml } from '../text/html.js'

type Listing = Call<{ path: string }>

interface Page {
  /** Names of folders, with a slash at the end. */
  folders: string[]
  files: FileRecord[]
  /** What to give as ?after for the next page. */
  next: string | null
}

interface Wanted {
  recursive: boolean
  after: string | undefined
  limit: number
}

const MAX_ENTRIES = 1000
const READ = 1000
const MAX_READS = 50

export async function listing(call: Listing): Promise<Reply> {
  const { request, params } = call
  const asked = new URLSearchParams(request.query)
  const recursive = asked.has('recursive') && asked.get('recursive') !== 'false'
  const after = asked.get('after') ?? undefined
  const page = await read(call, { recursive, after, limit: limitOf(asked.get('limit')) })
  if (params.path !== '' && after === undefined && page.files.length + page.folders.length === 0 && page.next === null)
    throw new RegistryError('missing', `There is no ${params.path} in ${call.repository.key}`)
  const asJson = asked.get('format') === 'json' || /\bapplication\/json\b/i.test(request.headers.get('accept') ?? '')
  return asJson ? jsonPage(params.path, page) : htmlPage(params.path, page, asked)
}

async function read(call: Listing, { recursive, after, limit }: Wanted): Promise<Page> {
  const prefix = call.params.path
  const page: Page = { folders: [], files: [], next: null }
  let cursor = after === undefined ? undefined : behind(prefix + after)
  let reads = 0
  for (const within of sections(call.reach(), prefix, cursor)) {
    for (;;) {
      if (reads++ === MAX_READS) return unfinished(page)
      const found = await call.repository.files({
        limit: READ,
        ...(within === '' ? {} : { prefix: within }),
        ...(cursor === undefined ? {} : { after: cursor }),
      })
      let folder = '/'
      for (const file of found) {
        if (file.path.startsWith(folder)) continue
        cursor = file.path
        if (!call.may('read', file.path)) continue
        if (page.files.length + page.folders.length === limit) return page
        const slash = recursive ? -1 : file.path.indexOf('/', prefix.length)
        if (slash < 0) page.files.push(file)
        else {
          folder = file.path.slice(0, slash + 1)
          cursor = behind(folder)
          page.folders.push(folder.slice(prefix.length))
        }
        page.next = (slash < 0 ? file.path : folder).slice(prefix.length)
      }
      if (found.length < READ) break
    }
  }
  return { ...page, next: null }
}

function unfinished(page: Page): Page {
  if (page.next !== null) return page
  throw new RegistryError('too_large', 'There is too much here that you may not read; ask for a narrower folder')
}

/**
 * A place in the order of paths that is behind the path, and, for a folder, behind everything in it: no path holds the last
 * character of all.
 */
function behind(path: string): string {
  return path.endsWith('/') ? `${path}\u{10ffff}` : path
}

function limitOf(asked: string | null): number {
  return asked !== null && /^[1-9]\d{0,8}$/.test(asked) ? Math.min(Number(asked), MAX_ENTRIES) : MAX_ENTRIES
}

function jsonPage(path: string, { folders, files, next }: Page): Reply {
  const body = {
    path,
    folders,
    files: files.map((file) => ({
      name: file.path.slice(path.length),
      path: file.path,
      size: file.size,
      sha256: file.digest,
      modified: file.publishedAt,
    })),
    next,
  }
  return reply('application/json', JSON.stringify(body))
}

function htmlPage(path: string, { folders, files, next }: Page, asked: URLSearchParams): Reply {
  const title = `Index of /${escapeHtml(path)}`
  const rows = [
    ...(path === '' ? [] : [link('../', '../')]),
    ...folders.map((name) => link(relative(name), name)),
    ...files.map((file) => {
      const name = file.path.slice(path.length)
      return `${link(relative(name), name)}  ${file.publishedAt.slice(0, 19).replace('T', ' ')}  ${file.size}`
    }),
    ...(next === null ? [] : [link(`?${nextQuery(asked, next)}`, 'more …')]),
  ]
  const body = `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>\n<body><h1>${title}</h1>\n<pre>\n${rows.join('\n')}\n</pre>\n</body></html>\n`
  return reply('text/html; charset=utf-8', body)
}

function nextQuery(asked: URLSearchParams, next: string): string {
  const query = new URLSearchParams(asked)
  query.set('after', next)
  return query.toString()
}

function link(href: string, name: string): string {
  return `<a href="${escapeHtml(href)}">${escapeHtml(name)}</a>`
}

/** './' in front, so that a name with a colon is not taken for a scheme. */
function relative(name: string): string {
  return `./${name.split('/').map(encodeURIComponent).join('/')}`
}

function reply(type: string, body: string): Reply {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
  return {
    status: 200,
    headers: { 'content-type': type, 'cache-control': 'no-cache', vary: 'accept', etag },
    body,
  }
}
