/** The header of one part of a form: what the field is called and, for a file, what the file is (RFC 7578 section 4.2). */
import { RegistryError } from '../../protocol/errors.js'

export interface Disposition {
  name: string
  /** undefined: an ordinary field. */
  filename: string | undefined
}

/** `header`: the lines of a part's header. Throws `invalid`. */
export function parseDisposition(header: string): Disposition {
  const line = header.split('\r\n').find((each) => /^content-disposition\s*:/i.test(each))
  const value = line?.slice(line.indexOf(':') + 1).trim() ?? ''
  if (!/^form-data\s*(?:;|$)/i.test(value)) throw nameless()
  const parameters = new Map<string, string>()
  for (const [, key = '', quoted, plain = ''] of value.matchAll(PARAMETER)) {
    if (parameters.has(key.toLowerCase()))
      throw new RegistryError('invalid', `A part of the form has two of ${key}`, { code: 'invalid_form' })
    parameters.set(key.toLowerCase(), quoted === undefined ? plain : unquoted(quoted))
  }
  const name = parameters.get('name')
  if (name === undefined || name === '') throw nameless()
  return { name, filename: extended(parameters.get('filename*')) ?? parameters.get('filename') }
}

const PARAMETER = /;\s*([A-Za-z0-9*_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g

/** Some clients escape with a backslash, browsers write %22; a backslash before anything else is itself. */
function unquoted(text: string): string {
  return text.replace(/\\(["\\])/g, '$1').replace(/%22/g, '"')
}

/** RFC 8187, which RFC 7578 forbids here and urllib3 sent for years. */
function extended(value: string | undefined): string | undefined {
  const [, encoded] = /^utf-8'[^']*'(.*)$/i.exec(value ?? '') ?? []
  if (encoded === undefined) return undefined
  try {
    return decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}

function nameless(): RegistryError {
  return new RegistryError('invalid', 'The form has a part without a name', { code: 'invalid_form' })
}
