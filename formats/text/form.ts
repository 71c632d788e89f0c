/** A form whose files are taken as they arrive and whose other fields are collected under a limit. */
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { boundaryOf, type MultipartLimits, type Part, readParts } from './multipart.js'

/** A field may be sent several times. */
export type Fields = Map<string, string[]>

export interface FormLimits extends MultipartLimits {
  /** Bytes of all collected fields together. */
  fields: number
}

/** `file` gets the parts whose name is `under`, with the fields that came before. Throws `invalid`, `too_large`. */
export async function readForm(
  request: Pick<HttpRequest, 'headers' | 'body'>,
  under: string,
  file: (part: Part, before: Fields) => Promise<void>,
  limits: FormLimits,
): Promise<Fields> {
  const fields: Fields = new Map()
  let room = limits.fields
  for await (const part of readParts(request.body, boundaryOf(request.headers.get('content-type')), limits)) {
    if (part.name === under && part.filename !== undefined) {
      await file(part, fields)
      continue
    }
    const tooLong = () =>
      new RegistryError('too_large', `The form's fields are too large, with "${part.name.slice(0, 50)}"`)
    const value = await collect(part.body, room, tooLong)
    room -= value.length
    const text = decode(part.name, value)
    const values = fields.get(part.name)
    if (values) values.push(text)
    else fields.set(part.name, [text])
  }
  return fields
}

/** The value of a field that must be sent at most once. Throws `invalid`. */
export function single(fields: Fields, name: string): string | undefined {
  const [first, ...others] = fields.get(name) ?? []
  if (others.some((other) => other !== first))
    throw new RegistryError('invalid', `The form has several values of "${name}"`, { code: 'invalid_form' })
  return first
}

function decode(name: string, value: Buffer): string {
  try {
    return UTF8.decode(value)
  } catch (cause) {
    throw new RegistryError('invalid', `The form's field "${name.slice(0, 50)}" is not UTF-8`, {
      cause,
      code: 'invalid_form',
    })
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
