/**
 * Runs the pages for administration: finds the page of a path, shows it, and does what one of its forms asks for. Without a session
 * a visitor is led to the log-in; what REST refuses stands on the page, with what was typed.
 */
import { readForm } from '../protocol/api/body.js'
import { RegistryError } from '../protocol/errors.js'
import { parsePath } from '../protocol/http/path.js'
import { empty, type Reply } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import type { Visitor } from './console.js'
import { type Failed, Forms } from './form.js'
import { type Content, html } from './html.js'
import { pages } from './pages/index.js'
import type { Done, Page } from './pages/page.js'
import { changing, reading } from './rest.js'
import type { SiteSource } from './site.js'

export interface Answered {
  title: string
  content: Content
  status?: number
  headers?: Record<string, string>
}

/** The page as a reply, in the frame of all pages; a refusal as one; the way to the log-in. */
export interface Frame {
  page(answered: Answered): Reply
  refused(error: unknown): { problem: string; status: number; headers: Record<string, string> }
  toLogin(): Reply
}

/** undefined: there is no such page. */
export function administration(source: SiteSource): (request: HttpRequest) => Visit | undefined {
  return ({ path }) => {
    for (const page of pages) {
      const params = paramsOf(page.path, path)
      if (params) return { source, page, params }
    }
    return undefined
  }
}

/** A page that was found for a request. */
export interface Visit {
  source: SiteSource
  page: Page
  params: Record<string, string>
}

export async function showPage(visit: Visit, request: HttpRequest, visitor: Visitor, frame: Frame): Promise<Reply> {
  if (!visitor.session) return frame.toLogin()
  return shownWith(visit, request, visitor, frame, undefined)
}

export async function changeByPage(visit: Visit, request: HttpRequest, visitor: Visitor, frame: Frame): Promise<Reply> {
  let failed: Failed | undefined
  try {
    const form = await readForm(request)
    const rest = changing(visit.source, request, visitor, form)
    const [name, of] = [form.get('do') ?? '', form.get('of') ?? '']
    failed = { name, of, problem: '', typed: form }
    const done = await doneBy(visit, rest, form, visitor)
    if ('show' in done) return frame.page({ title: done.title, content: done.show })
    const { path, query } = splitted(done.go)
    query.set('said', done.said)
    return empty(303, { location: `${path}?${query}`, 'cache-control': 'no-store' })
  } catch (error) {
    const { problem, status, headers } = frame.refused(error)
    if (!failed) return frame.page({ title: 'Not done', content: alert(problem), status, headers })
    return shownWith(visit, request, visitor, frame, { failed: { ...failed, problem }, status, headers })
  }
}

async function doneBy(
  { source, page, params }: Visit,
  rest: ReturnType<typeof changing>,
  form: URLSearchParams,
  visitor: Visitor,
): Promise<Done> {
  const name = form.get('do') ?? ''
  const change = Object.hasOwn(page.does ?? {}, name) ? page.does?.[name] : undefined
  if (!change) throw new RegistryError('invalid', 'This page has no such form; load it again')
  if (page.fresh?.includes(name)) await source.console.demandFresh(visitor)
  return change({ rest, form, params, visitor, of: form.get('of') ?? '' })
}

async function shownWith(
  { source, page, params }: Visit,
  request: HttpRequest,
  visitor: Visitor,
  frame: Frame,
  after: { failed: Failed; status: number; headers: Record<string, string> } | undefined,
): Promise<Reply> {
  const forms = new Forms(request.path, visitor, after?.failed)
  const query = new URLSearchParams(request.query)
  try {
    const { title, content } = await page.show({
      ...{ params, query, visitor, forms, path: request.path, nowMs: source.nowMs() },
      rest: reading(source.rest, request, visitor),
      administers: source.gate.mayAdminister(visitor.principal),
      manages: (key) => {
        const project = source.metadata.access('project', key)
        return project !== undefined && source.gate.manages(visitor.principal, project)
      },
      configures: (key) => {
        const record = source.metadata.repository(key)
        return record !== undefined && source.gate.decide(visitor.principal, 'admin', record).allowed
      },
      formats: source.formats.map(({ name }) => name),
      audits: source.gate.mayAudit(visitor.principal),
    })
    const said = after ? undefined : SAID[query.get('said') ?? '']
    const whole = html`<h2 class="title">${title}</h2>${said && html`<p class="said" role="status">${said}</p>`}${forms.untold}${content}`
    if (!after) return frame.page({ title, content: whole })
    // The title is what is read out first.
    return frame.page({ title: `Not done: ${title}`, content: whole, status: after.status, headers: after.headers })
  } catch (error) {
    const refused = frame.refused(error)
    // Why the form was refused is more than why its page cannot be shown.
    const { problem, status, headers } = after ? { ...after, problem: after.failed.problem } : refused
    return frame.page({ title: after ? 'Not done' : 'Not shown', content: alert(problem), status, headers })
  }
}

/** Words that an address may put on a page: these and no others. */
const SAID: Record<string, string | undefined> = {
  made: 'Made.',
  saved: 'Saved.',
  removed: 'Removed.',
  done: 'Done.',
}

function alert(problem: string): Content {
  return html`<p class="problem" role="alert">${problem}</p>`
}

function splitted(target: string): { path: string; query: URLSearchParams } {
  const [path = '', query] = target.split('?', 2)
  return { path, query: new URLSearchParams(query) }
}

function paramsOf(pattern: string, path: string): Record<string, string> | undefined {
  const asked = segmentsOf(path)
  const parts = pattern.slice(1).split('/')
  if (asked?.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [i, part] of parts.entries()) {
    const segment = asked[i] ?? ''
    if (part.startsWith('{')) params[part.slice(1, -1)] = segment
    else if (part !== segment) return undefined
  }
  return params
}

function segmentsOf(path: string): string[] | undefined {
  try {
    return parsePath(path).segments
  } catch {
    return undefined
  }
}
