/**
 * Finds the route for a method and a decoded path. Routes are tried in the order they are given; HEAD uses GET's.
 * Knows nothing of formats: any object with a method, a pattern and grammars can be routed.
 */
export interface Routable {
  readonly method: string
  /** '/:package/-/:file', '/@:scope/:name', '/v2/:name*' + '/tags'. A parameter ends with its segment; '*': any number of them. */
  readonly pattern: string
  /** A grammar for a parameter, unanchored, without flags; default one segment. */
  readonly params: Readonly<Record<string, RegExp>>
}

export type Match<R extends Routable> =
  | { kind: 'found'; route: R; params: Record<string, string> }
  /** The path exists, the method is not offered: 405 with these in Allow. */
  | { kind: 'method'; allow: string[] }
  | { kind: 'none' }

export interface Matcher<R extends Routable> {
  /** `path` is decoded and relative to where the routes are mounted; it begins with '/'. */
  match(method: string, path: string): Match<R>
}

export function compile<R extends Routable>(routes: readonly R[]): Matcher<R> {
  const compiled = routes.map(compileRoute)
  const byMethod = new Map<string, Compiled<R>[]>()
  for (const each of compiled) append(byMethod, each.route.method, each)
  return {
    match(method, path) {
      const found = first(byMethod.get(method === 'HEAD' ? 'GET' : method) ?? [], path)
      if (found !== undefined) return found
      const allow = allowed(compiled, path)
      return allow.length === 0 ? { kind: 'none' } : { kind: 'method', allow }
    },
  }
}

interface Compiled<R> {
  route: R
  /** What every path of this route begins with: decides most misses without the expression. */
  prefix: string
  names: string[]
  expression: RegExp
}

function first<R extends Routable>(candidates: Compiled<R>[], path: string): Match<R> | undefined {
  for (const { route, prefix, names, expression } of candidates) {
    if (!path.startsWith(prefix)) continue
    const groups = expression.exec(path)?.groups
    if (groups === undefined) continue
    const params: Record<string, string> = {}
    names.forEach((name, index) => {
      params[name] = groups[`p${index}`] ?? ''
    })
    return { kind: 'found', route, params }
  }
  return undefined
}

function allowed<R extends Routable>(compiled: Compiled<R>[], path: string): string[] {
  const methods = new Set<string>()
  for (const { route, expression } of compiled) if (expression.test(path)) methods.add(route.method)
  if (methods.has('GET')) methods.add('HEAD')
  return [...methods].sort()
}

function compileRoute<R extends Routable>(route: R): Compiled<R> {
  const names: string[] = []
  const source = route.pattern.replace(/:([A-Za-z_]\w*)(\*?)|[^:]+|:/g, (part, name?: string, star?: string) => {
    if (name === undefined) return literally(part)
    const grammar = route.params[name]
    if (grammar !== undefined && grammar.flags !== '')
      throw new Error(`The grammar of :${name} in ${route.pattern} has flags`)
    names.push(name)
    // Groups are named by position, so that a grammar's own groups do not shift them.
    return `(?<p${names.length - 1}>${grammar?.source ?? (star ? '.*' : '[^/]+')})`
  })
  const prefix = route.pattern.split(':', 1)[0] ?? ''
  // The empty group makes `groups` exist for patterns without parameters.
  return { route, prefix, names, expression: new RegExp(`^(?<whole>)${source}$`, 's') }
}

function literally(literal: string): string {
  return literal.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
