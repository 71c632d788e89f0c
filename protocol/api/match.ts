/** Finds the endpoints of a path: literal segments win over parameters, and a `{name*}` takes as many segments as it can. */
import type { Endpoint } from './endpoint.js'

export interface Match {
  endpoint: Endpoint
  params: Record<string, string>
}

export type Matcher = (path: string) => Match[]

interface Compiled {
  endpoint: Endpoint
  pattern: RegExp
  names: string[]
}

/** Give it a path that was decoded once (http/path.ts). It returns all methods' endpoints of the best matching pattern. */
export function matcher(endpoints: readonly Endpoint[]): Matcher {
  const byHead = new Map<string, Compiled[]>()
  for (const endpoint of [...endpoints].sort(bySpecificity)) {
    const head = headOf(endpoint.path)
    byHead.set(head, [...(byHead.get(head) ?? []), compile(endpoint)])
  }
  return (path) => {
    const found: Match[] = []
    for (const { endpoint, pattern, names } of byHead.get(headOf(path)) ?? []) {
      const match = pattern.exec(path)
      if (match)
        found.push({ endpoint, params: Object.fromEntries(names.map((name, i) => [name, match[i + 1] ?? ''])) })
    }
    return found
  }
}

/** '/api/v1/users' of '/api/v1/users/{name}'. */
function headOf(path: string): string {
  return path.split('/', 4).join('/')
}

function compile(endpoint: Endpoint): Compiled {
  const names: string[] = []
  const source = endpoint.path
    .split(/(\{[a-z_]+\*?\})/)
    .map((part) => {
      const name = /^\{([a-z_]+)(\*?)\}$/.exec(part)
      if (!name) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      names.push(name[1] ?? '')
      return name[2] === '*' ? '(.+)' : '([^/]+)'
    })
    .join('')
  return { endpoint, pattern: new RegExp(`^${source}$`, 'su'), names }
}

/** Paths with fewer parameters first, and of those with a rest the longer first, so that '{path*}/restore' comes before '{path*}'. */
function bySpecificity(a: Endpoint, b: Endpoint): number {
  const stars = (path: string) => path.split('*').length
  const parameters = (path: string) => path.split('{').length
  return stars(a.path) - stars(b.path) || parameters(a.path) - parameters(b.path) || b.path.length - a.path.length
}
