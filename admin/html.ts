/** HTML as a value: what is put into a template is escaped unless it is HTML itself, so that forgetting is not possible. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type Content = Html | string | number | undefined | false | readonly Content[]

export function html(parts: TemplateStringsArray, ...values: Content[]): Html {
  let text = parts[0] ?? ''
  values.forEach((value, i) => {
    text += render(value) + (parts[i + 1] ?? '')
  })
  return new Html(text)
}

/** For text and for attribute values in double quotes. */
function escaped(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`)
}

function render(value: Content): string {
  if (value === undefined || value === false) return ''
  if (value instanceof Html) return value.text
  if (typeof value === 'string') return escaped(value)
  if (typeof value === 'number') return String(value)
  return value.map(render).join('')
}
