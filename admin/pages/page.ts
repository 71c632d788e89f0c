/** A page for administration as a value: where it is, what it shows, what its forms do. It has no other way to anything but REST. */
import type { Visitor } from '../console.js'
import type { Forms } from '../form.js'
import type { Content } from '../html.js'
import type { Changing, Reading } from '../rest.js'

export interface Page {
  /** Such as '/admin/users/{name}'. */
  readonly path: string
  /** Stands in the navigation of those who may read it. */
  readonly link?: { text: string; for: 'user' | 'auditor' }
  /** Throws what REST refuses: then nothing of the page is shown. */
  show(asked: Asked): Promise<{ title: string; content: Content }>
  /** By the name of the form. */
  readonly does?: Readonly<Record<string, (change: Change) => Promise<Done>>>
  /** Forms that make what outlasts the session: they need a log-in of the last minutes. */
  readonly fresh?: readonly string[]
}

export interface Asked {
  params: Record<string, string>
  query: URLSearchParams
  visitor: Visitor
  /** Of the request, without the query. */
  path: string
  rest: Reading
  forms: Forms
  nowMs: number
  /** Whether forms are worth showing; REST decides. */
  administers: boolean
  audits: boolean
  /** Of a project, by its key. */
  manages: (project: string) => boolean
  /** Of a repository, by its key. */
  configures: (repository: string) => boolean
  /** Names of all formats. */
  formats: readonly string[]
}

export interface Change {
  rest: Changing
  form: URLSearchParams
  params: Record<string, string>
  visitor: Visitor
  /** Which of several things, as the form says. */
  of: string
}

/** Where to go on, and the word that is said there; or what is shown this once. */
export type Done = { go: string; said: 'made' | 'saved' | 'removed' | 'done' } | { title: string; show: Content }

/** An address of the pages. */
export function at(parts: TemplateStringsArray, ...values: string[]): string {
  return `/admin${String.raw({ raw: parts }, ...values.map(encodeURIComponent))}`
}
