/**
 * The URL forms that lead to a repository. Whatever form is used, it is one repository and one path inside it.
 *
 *     /repository/{key}/…   /{format}/{key}/…   /artifactory/{key}/…   /artifactory/api/{format}/{key}/…
 *
 * and /{root}/{key}/… for a format that owns a first segment (`Format.root`).
 */
export interface Address {
  key: string
  format: string | undefined
  /** Raw path inside the repository, with a leading slash. */
  rest: string
}

export interface AddressForms {
  isFormat(name: string): boolean
  /** The format that owns a first segment. */
  rootOf(segment: string): string | undefined
}

/** `raw`: the path as it was sent. undefined: it is none of these forms. */
export function addressOf(raw: string, forms: AddressForms): Address | undefined {
  const [, first = '', second = '', third = '', fourth = ''] = raw.split('/', 5)
  if (first === 'repository') return address(raw, second, 2)
  if (first === 'artifactory' && second === 'api' && forms.isFormat(third)) return address(raw, fourth, 4, third)
  if (first === 'artifactory') return address(raw, second, 2)
  const owner = forms.rootOf(first)
  if (owner !== undefined) return rootAddress(raw, second, owner)
  return forms.isFormat(first) ? address(raw, second, 2, first) : undefined
}

function address(raw: string, key: string, segments: number, format?: string): Address {
  let at = 0
  for (let i = 0; i <= segments && at >= 0; i++) at = raw.indexOf('/', at + (i === 0 ? 0 : 1))
  return { key, format, rest: at < 0 ? '/' : raw.slice(at) }
}

/** No key begins with an underscore, so routes of the root that do are never taken for one. */
function rootAddress(raw: string, key: string, format: string): Address | undefined {
  if (key === '' || key.startsWith('_')) return undefined
  const { rest } = address(raw, key, 2)
  return { key, format, rest: raw.slice(0, raw.indexOf('/', 1)) + rest }
}
