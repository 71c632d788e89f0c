/** Forms of the pages: plain ones, sent to the page that they are on. What was refused stands beside what was typed. */
import type { Visitor } from './console.js'
import { type Content, type Html, html } from './html.js'
import { proof } from './layout.js'
import { said } from './login.js'

/** A form that was refused: which, why, and what it held. */
export interface Failed {
  /** Its `do`, and where there are several of a kind its `of`. */
  name: string
  of: string
  problem: string
  typed: URLSearchParams
}

export interface FieldOptions {
  value?: string | undefined
  hint?: string
  required?: boolean
  type?: 'text' | 'password' | 'number' | 'email'
}

export interface Fields {
  text(name: string, label: string, options?: FieldOptions): Html
  select(
    name: string,
    label: string,
    options: readonly (string | [value: string, label: string])[],
    value?: string,
  ): Html
  check(name: string, label: string, options?: { on?: boolean; value?: string; required?: boolean }): Html
  /** Several of one name. */
  checks(name: string, label: string, values: readonly string[], on?: readonly string[]): Html
}

export interface FormOptions {
  button: string
  /** Which of several forms of a kind. */
  of?: string
  /** For whoever does not see what stands around the button. */
  label?: string
  /** What cannot be undone folds away under this title, and asks again. */
  danger?: string
}

export class Forms {
  readonly #path: string
  readonly #visitor: Visitor
  readonly #failed: Failed | undefined
  #told = false
  #fields = 0

  constructor(path: string, visitor: Visitor, failed: Failed | undefined) {
    this.#path = path
    this.#visitor = visitor
    this.#failed = failed
  }

  /** What was refused, where no form of the page has said so itself. */
  get untold(): Content {
    return !this.#told && said(this.#failed?.problem)
  }

  /** For what is folded around a form. */
  failedAt(name: string, of = ''): boolean {
    return this.#failed?.name === name && this.#failed.of === of
  }

  form(name: string, options: FormOptions, fields?: (fields: Fields) => Content): Html {
    const { button, of = '', label, danger } = options
    const failed = this.failedAt(name, of) ? this.#failed : undefined
    if (failed) this.#told = true
    const content = fields?.(this.#fieldsOf(failed?.typed))
    const form = html`<form method="post" action="${this.#path}" class="${fields || danger ? 'fields' : 'one'}">
${said(failed?.problem)}${proof(this.#visitor)}<input type="hidden" name="do" value="${name}">${of !== '' && html`<input type="hidden" name="of" value="${of}">`}
${content}${danger && html`<label class="check"><input type="checkbox" name="sure" value="yes" required> I am sure</label>`}
<button${label === undefined ? undefined : html` aria-label="${label}"`}>${button}</button></form>`
    return danger ? html`<details${failed && html` open`}><summary>${danger}</summary>${form}</details>` : form
  }

  /** A form that only asks: its fields become the page's query. */
  ask(button: string, query: URLSearchParams, fields: (fields: Fields) => Content): Html {
    return html`<form method="get" action="${this.#path}" class="fields">${fields(this.#fieldsOf(query))}<button>${button}</button></form>`
  }

  /** One that asks about the page's `listing`: with scripts what is typed counts at once, and nothing but the list changes. */
  filter(button: string, query: URLSearchParams, fields: (fields: Fields) => Content): Html {
    return html`<form method="get" action="${this.#path}" class="fields" hx-get="${this.#path}" hx-trigger="submit, input delay:300ms" hx-target="#list" hx-select="#list" hx-swap="outerHTML" hx-push-url="true">${fields(this.#fieldsOf(query))}<button>${button}</button></form>`
  }

  #fieldsOf(typed: URLSearchParams | undefined): Fields {
    return {
      text: (name, label, { value = '', hint, required = false, type = 'text' } = {}) => {
        const id = `field-${++this.#fields}`
        // What is secret is typed again.
        const shown = type === 'password' ? '' : (typed?.get(name) ?? value)
        return html`<div class="field"><label for="${id}">${label}</label><input id="${id}" name="${name}" type="${type}" value="${shown}" maxlength="4000" autocomplete="${type === 'password' ? 'new-password' : 'off'}" autocapitalize="none"${required && html` required`}${hint && html` aria-describedby="${id}-hint"`}>${hint && html`<small id="${id}-hint">${hint}</small>`}</div>`
      },
      select: (name, label, options, value) => {
        const chosen = typed?.get(name) ?? value
        const option = (one: string | [string, string]) => {
          const [key, text] = typeof one === 'string' ? [one, one] : one
          return html`<option value="${key}"${key === chosen && html` selected`}>${text}</option>`
        }
        const id = `field-${++this.#fields}`
        return html`<div class="field"><label for="${id}">${label}</label><select id="${id}" name="${name}">${options.map(option)}</select></div>`
      },
      check: (name, label, { on = false, value = 'yes', required = false } = {}) => {
        const checked = typed ? typed.getAll(name).includes(value) : on
        return html`<label class="check"><input type="checkbox" name="${name}" value="${value}"${checked && html` checked`}${required && html` required`}> ${label}</label>`
      },
      checks: (name, label, values, on = []) => {
        const chosen = typed ? typed.getAll(name) : on
        return html`<fieldset><legend>${label}</legend>${values.map((value) => html`<label class="check"><input type="checkbox" name="${name}" value="${value}"${chosen.includes(value) && html` checked`}> ${value}</label>`)}</fieldset>`
      },
    }
  }
}

/** A field that was filled in. */
export function filled(form: URLSearchParams, name: string): string | undefined {
  const value = form.get(name)?.trim()
  return value === '' ? undefined : value
}

/** What is separated by spaces, commas or lines. */
export function listed(form: URLSearchParams, name: string): string[] {
  return (form.get(name) ?? '').split(/[\s,]+/).filter((one) => one !== '')
}
