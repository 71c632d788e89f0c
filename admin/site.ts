/**
 * Answers `/` and the pages below `/admin/`. Whatever changes something is a form that was made for the visitor's session and
 * is sent from this origin. The policy forbids inline scripts and styles, framing and any other origin; no cache keeps a page.
 */
import { refuseCrossSite } from '../protocol/access/refusal.js'
import { readForm } from '../protocol/api/body.js'
import type { Api } from '../protocol/api/serve.js'
import { RegistryError } from '../protocol/errors.js'
import { empty, json, type Reply } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import { errorHeaders, statusOf } from '../protocol/http/status.js'
import { account, newFactor } from './account.js'
import { administration, changeByPage, type Frame, showPage } from './administration.js'
import { openAssets } from './assets.js'
import type { Console, Visitor } from './console.js'
import type { Content } from './html.js'
import { type Assets, document, shown } from './layout.js'
import { codeForm, loginForm, recoveryCodes, said } from './login.js'
import { live, page } from './page.js'
import { pages as administrative } from './pages/index.js'
import { gather, type ViewSource } from './view.js'

/** undefined: not a path of the pages. */
export type Site = (request: HttpRequest, visitor: Visitor) => Promise<Reply> | undefined

export interface SiteSource extends ViewSource {
  console: Console
  /** The REST interface of this process: the pages for administration have no other way to anything. */
  rest: Api
  /** Does this process itself speak https: then browsers are told never to come by http again. */
  secure: boolean
}

/** Refreshes itself: nobody need be there. */
export const UNATTENDED = '/admin/live'

const LOGIN = '/admin/login'
const ACCOUNT = '/admin/account'

type Answer = (request: HttpRequest, visitor: Visitor) => Promise<Reply>

export async function openSite(source: SiteSource): Promise<Site> {
  const { assets, serve } = await openAssets()
  const pages = new Pages(source, assets)
  const find = administration(source)
  const reads: Record<string, Answer> = {
    '/': (request, visitor) => pages.start(request, visitor),
    [UNATTENDED]: (request, visitor) => pages.live(request, visitor),
    [LOGIN]: (request, visitor) => pages.login(request, visitor),
    [ACCOUNT]: (request, visitor) => pages.account(request, visitor),
  }
  const forms: Record<string, Answer> = {
    [LOGIN]: (request, visitor) => pages.enter(request, visitor),
    '/admin/logout': (request, visitor) => pages.leave(request, visitor),
    '/admin/second-factor': (request, visitor) => pages.second(request, visitor),
    [`${ACCOUNT}/second-factor`]: (request, visitor) => pages.beginFactor(request, visitor),
    [`${ACCOUNT}/second-factor/confirm`]: (request, visitor) => pages.confirmFactor(request, visitor),
    [`${ACCOUNT}/second-factor/remove`]: (request, visitor) => pages.removeFactor(request, visitor),
    '/admin/passkey': (request, visitor) => pages.enterByPasskey(request, visitor),
    '/admin/passkey/options': (request) => pages.passkeyOptions(request, undefined),
    [`${ACCOUNT}/passkeys`]: (request, visitor) => pages.addPasskey(request, visitor),
    [`${ACCOUNT}/passkeys/options`]: (request, visitor) => pages.passkeyOptions(request, visitor),
    [`${ACCOUNT}/passkeys/remove`]: (request, visitor) => pages.removePasskey(request, visitor),
    [`${ACCOUNT}/sessions/end`]: (request, visitor) => pages.endSession(request, visitor),
  }
  const site: Site = (request, visitor) => {
    const way = source.console.way(request)
    if (way) return way.catch((error: unknown) => pages.turnedBack(request, visitor, error))
    const visit = forms[request.path] ? undefined : find(request)
    if (request.method === 'POST')
      return visit
        ? changeByPage(visit, request, visitor, pages.frame(request, visitor))
        : forms[request.path]?.(request, visitor)
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
    const asset = serve(request)
    if (asset) return Promise.resolve(asset)
    return visit
      ? showPage(visit, request, visitor, pages.frame(request, visitor))
      : reads[request.path]?.(request, visitor)
  }
  return source.secure ? (request, visitor) => site(request, visitor)?.then(strict) : site
}

/** RFC 6797. */
function strict(reply: Reply): Reply {
  return { ...reply, headers: { ...reply.headers, 'strict-transport-security': 'max-age=31536000' } }
}

class Pages {
  readonly #source: SiteSource
  readonly #assets: Assets

  constructor(source: SiteSource, assets: Assets) {
    this.#source = source
    this.#assets = assets
  }

  /** For the pages for administration. */
  frame(request: HttpRequest, visitor: Visitor): Frame {
    return {
      page: ({ title, content, status, headers }) => this.#page(request, visitor, title, content, status, headers),
      refused,
      toLogin: () => toLogin(request),
    }
  }

  async start(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#page(request, visitor, 'Cairn', page(await gather(this.#source, visitor.principal, request.origin)))
  }

  async live(request: HttpRequest, { principal }: Visitor): Promise<Reply> {
    return shown(live(await gather(this.#source, principal, request.origin)).text)
  }

  async login(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#login(request, visitor, { next: new URLSearchParams(request.query).get('next') ?? '/' })
  }

  async enter(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    const form = await readForm(request)
    const [username, password, next] = [form.get('username') ?? '', form.get('password') ?? '', form.get('next') ?? '/']
    try {
      refuseCrossSite(request)
      const entered = await this.#source.console.enter({ username, password }, request, next)
      return 'reply' in entered ? entered.reply : this.#page(request, visitor, 'Log in', codeForm({ ...entered, next }))
    } catch (error) {
      return this.#login(request, visitor, { next, username, ...refused(error) })
    }
  }

  async second(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    const form = await readForm(request)
    const ticket = form.get('ticket') ?? ''
    try {
      refuseCrossSite(request)
      const { reply, codes } = await this.#source.console.second(ticket, form.get('code') ?? '', request)
      if (!codes) return reply
      const { location = '/', ...headers } = reply.headers
      return this.#page(request, visitor, 'Recovery codes', recoveryCodes(codes, location), 200, headers)
    } catch (error) {
      const { problem, status, headers } = refused(error)
      return this.#page(request, visitor, 'Log in', codeForm({ ticket, problem }), status, headers)
    }
  }

  /** By a provider, or on the way to it. Only a person has use for a page. */
  async turnedBack(request: HttpRequest, visitor: Visitor, error: unknown): Promise<Reply> {
    if (!request.headers.get('accept')?.includes('text/html')) throw error
    return this.#login(request, visitor, { next: '/', ...refused(error) })
  }

  async leave(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#changed(request, visitor, () => this.#source.console.leave(request, visitor))
  }

  async account(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    if (!visitor.session) return toLogin(request)
    const { console, nowMs } = this.#source
    const { name } = visitor.principal
    const [sessions, hasSecondFactor] = [await console.sessions(name), await console.hasSecondFactor(name)]
    const view = { visitor, sessions, hasSecondFactor, known: await console.passkeys(name), nowMs: nowMs() }
    return this.#page(request, visitor, 'Account', account(view))
  }

  async beginFactor(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#changed(request, visitor, async () => {
      const factor = await this.#source.console.beginSecondFactor(request, visitor)
      return this.#page(request, visitor, 'Second factor', newFactor(visitor, factor))
    })
  }

  async confirmFactor(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#changed(request, visitor, async (form) => {
      const codes = await this.#source.console.confirmSecondFactor(request, visitor, form.get('code') ?? '')
      return this.#page(request, visitor, 'Recovery codes', recoveryCodes(codes, ACCOUNT))
    })
  }

  async removeFactor(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#changed(request, visitor, async (form) => {
      await this.#source.console.removeSecondFactor(request, visitor, form.get('code') ?? '')
      return toAccount()
    })
  }

  async passkeyOptions(request: HttpRequest, visitor: Visitor | undefined): Promise<Reply> {
    if (visitor) this.#source.console.demandOwn(request, visitor, undefined)
    else refuseCrossSite(request)
    const reply = json(await this.#source.console.passkeyOptions(request, visitor))
    return { ...reply, headers: { ...reply.headers, 'cache-control': 'no-store' } }
  }

  async enterByPasskey(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    const form = await readForm(request)
    const next = form.get('next') ?? '/'
    try {
      refuseCrossSite(request)
      return await this.#source.console.enterByPasskey(request, form.get('response') ?? '', next)
    } catch (error) {
      return this.#login(request, visitor, { next, ...refused(error) })
    }
  }

  async addPasskey(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#changed(request, visitor, async (form) => {
      const [response, name] = [form.get('response') ?? '', form.get('name') ?? '']
      const codes = await this.#source.console.addPasskey(request, visitor, response, name)
      return codes ? this.#page(request, visitor, 'Recovery codes', recoveryCodes(codes, ACCOUNT)) : toAccount()
    })
  }

  async removePasskey(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#changed(request, visitor, async (form) => {
      if (!(await this.#source.console.removePasskey(request, visitor, form.get('id') ?? '')))
        throw new RegistryError('missing', 'You have no such passkey')
      return toAccount()
    })
  }

  async endSession(request: HttpRequest, visitor: Visitor): Promise<Reply> {
    return this.#changed(request, visitor, async (form) => {
      if (!(await this.#source.console.end(request, visitor, form.get('id') ?? '')))
        throw new RegistryError('missing', 'You have no such session')
      return toAccount()
    })
  }

  /** What a visitor changes: from a form of the visitor's own, and refused as a page. */
  async #changed(
    request: HttpRequest,
    visitor: Visitor,
    change: (form: URLSearchParams) => Promise<Reply>,
  ): Promise<Reply> {
    try {
      const form = await readForm(request)
      this.#source.console.demandOwn(request, visitor, form.get('csrf') ?? undefined)
      return await change(form)
    } catch (error) {
      const { problem, status, headers } = refused(error)
      return this.#page(request, visitor, 'Not done', said(problem), status, headers)
    }
  }

  #login(
    request: HttpRequest,
    visitor: Visitor,
    { next, username = '', problem, status, headers }: { next: string; username?: string } & Partial<Refused>,
  ): Reply {
    const form = loginForm({ providers: this.#source.console.providers(), next, username, problem })
    return this.#page(request, visitor, 'Log in', form, status, headers)
  }

  #page(
    { origin, path }: HttpRequest,
    visitor: Visitor,
    title: string,
    content: Content,
    status?: number,
    headers?: Record<string, string>,
  ): Reply {
    const administrator = this.#source.gate.mayAdminister(visitor.principal)
    const subtitle = `Artifact registry at ${origin}`
    const links = visitor.session ? this.#links(visitor) : []
    const frame = { assets: this.#assets, title, subtitle, visitor, administrator, links, path }
    return shown(document(frame, content), status, headers)
  }

  #links({ principal }: Visitor): { text: string; path: string }[] {
    const audits = this.#source.gate.mayAudit(principal)
    return administrative.flatMap(({ path, link }) =>
      link && (link.for === 'user' || audits) ? [{ text: link.text, path }] : [],
    )
  }
}

interface Refused {
  problem: string
  status: number
  headers: Record<string, string>
}

/** Rethrows what is no refusal. A page has no use for the challenge that would make browsers ask for a password themselves. */
function refused(error: unknown): Refused {
  if (!(error instanceof RegistryError)) throw error
  const { 'www-authenticate': _, ...headers } = errorHeaders(error)
  return { problem: `${error.message}.`, status: error.kind === 'unauthenticated' ? 403 : statusOf(error), headers }
}

function toLogin({ path, query }: HttpRequest): Reply {
  const next = query === '' ? path : `${path}?${query}`
  return empty(303, { location: `${LOGIN}?${new URLSearchParams({ next })}`, 'cache-control': 'no-store' })
}

function toAccount(): Reply {
  return empty(303, { location: ACCOUNT, 'cache-control': 'no-store' })
}
