/** In which form a simple index is asked for (PEP 691), and what its forms have in common. */
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { preferred } from '../text/accept.js'

/** The Content-Type of the reply. */
export type SimpleForm = (typeof FORMS)[keyof typeof FORMS]

export const API_VERSION = '1.4'
export const META = `<meta name="pypi:repository-version" content="${API_VERSION}">`

/** A client that accepts none of them gets HTML, as the specification allows: old ones name types that they do not need. */
export function formFor({ query, headers }: Pick<HttpRequest, 'query' | 'headers'>): SimpleForm {
  const asked = new URLSearchParams(query).get('format') ?? ''
  if (isForm(asked)) return FORMS[asked]
  return FORMS[preferred(headers.get('accept'), TYPES) ?? 'text/html']
}

export function isJson(form: SimpleForm): boolean {
  return form === JSON_FORM
}

/** `path`: inside the repository, encoded. */
export function movedTo({ base, request }: Pick<Call, 'base' | 'request'>, path: string): Reply {
  const location = `${base}/${path}${request.query === '' ? '' : `?${request.query}`}`
  return { status: 301, headers: { location, 'cache-control': 'no-cache' } }
}

const JSON_FORM = 'application/vnd.pypi.simple.v1+json'
const HTML_FORM = 'application/vnd.pypi.simple.v1+html'
/** By the name under which it may be asked for. The first one wins where a client does not mind. */
const FORMS = {
  'text/html': 'text/html; charset=utf-8',
  [HTML_FORM]: HTML_FORM,
  'application/vnd.pypi.simple.latest+html': HTML_FORM,
  [JSON_FORM]: JSON_FORM,
  'application/vnd.pypi.simple.latest+json': JSON_FORM,
  'application/json': JSON_FORM,
} as const
const TYPES = Object.keys(FORMS).filter(isForm)

function isForm(text: string): text is keyof typeof FORMS {
  return Object.hasOwn(FORMS, text)
}
