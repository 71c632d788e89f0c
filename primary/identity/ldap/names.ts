/** Distinguished names (RFC 4514): one spelling for all that mean the same, and values put into them by whoever types. */

const PART =
  /\s*([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)\s*=((?:\\[0-9A-Fa-f]{2}|\\[^0-9A-Fa-f]|[^\\,;+"])*)(?:([,;+])|$)/suy
const ESCAPED = /((?:\\[0-9A-Fa-f]{2})+)|\\(.)/gsu

/**
 * Types and values in lower case, spaces and escapes in one way, parts of a multi-valued one sorted: what a directory takes for equal is
 * equal then. undefined: it is no such name.
 */
export function normalDn(dn: string): string | undefined {
  const names: string[][] = [[]]
  PART.lastIndex = 0
  for (let ended = false; !ended; ) {
    const [, type = '', value = '', separator] = PART.exec(dn) ?? []
    if (type === '') return undefined
    names.at(-1)?.push(`${type.toLowerCase()}=${dnValue(prepared(unescaped(value)))}`)
    if (separator !== undefined && separator !== '+') names.push([])
    ended = separator === undefined
  }
  return names.map((parts) => parts.sort().join('+')).join(',')
}

/** For a value inside a name. */
export function dnValue(value: string): string {
  return value.replace(/[\\",+;<>=#]|^ | $|\p{Cc}/gu, (character) =>
    Buffer.from(character).toString('hex').replace(/../g, '\\$&'),
  )
}

function unescaped(value: string): string {
  return value.replace(ESCAPED, (_, bytes: string | undefined, character: string) =>
    bytes === undefined ? character : Buffer.from(bytes.replaceAll('\\', ''), 'hex').toString('utf8'),
  )
}

/** RFC 4518, as far as it matters for comparing. */
function prepared(value: string): string {
  return value.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim()
}
