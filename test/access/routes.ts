/**
 * A request for every route that a format registers, and what it needs by the words of its protocol: reading by GET, removing by
 * DELETE, everything else writes; what is otherwise is named here. A route that no request can be made for is an error.
 */
import type { Format, Route } from '../../protocol/format.js'
import { compile } from '../../protocol/http/route.js'
import { digestOf, layerOf, publishable } from './flowers.js'
import type { Need } from './model.js'

export interface Asked {
  name: string
  method: string
  /** Inside the repository; of a package. */
  path: (flower: string) => string
  body: ((flower: string) => string | Uint8Array) | undefined
  /** What the gate is asked about: below the flower's name, wherever in the path that stands. */
  subject: (flower: string) => string
  need: Need
  writes: boolean
  /** Whether anything is there its status does not tell. */
  empty: boolean
}

const UPLOAD = '0b7f6c1e-1111-4111-8111-111111111111'

/** By format and name of the parameter. */
const PARAMETERS: Record<string, (flower: string) => Record<string, string>> = {
  generic: (path) => ({ path: `${path}/file.txt` }),
  cargo: (crate) => ({ crate, version: '1.0.0', first: crate.slice(0, 2), second: crate.slice(2, 4) }),
  go: (flower) => ({ module: `example.com/${flower}`, file: 'v1.0.0.zip' }),
  maven: (flower) => ({ path: `com/example/${flower}/1.0.0/${flower}-1.0.0.jar` }),
  npm: (flower) => ({
    package: flower,
    version: '1.0.0',
    file: `${flower}-1.0.0.tgz`,
    rev: '1',
    tag: 'latest',
    user: 'reader',
    token: 'no-such-token',
    spec: `${flower}@1.0.0`,
    scope: 'scope',
    team: 'team',
  }),
  oci: (name) => ({ name, digest: digestOf(layerOf(name)), reference: 'latest', id: UPLOAD }),
  pypi: (name) => ({ name, version: '1.0.0', file: `${name}-1.0.0-py3-none-any.whl` }),
}

/** By format, method and pattern. Changes of what stays (a yank, a tag) are writes. */
const NEEDS: Record<string, Need> = {
  'generic GET /-/uploads/:path*': 'write',
  'cargo DELETE /api/v1/crates/:crate/:version/yank': 'write',
  'cargo DELETE /api/v1/crates/:crate/owners': 'write',
  'cargo GET /api/v1/me': 'user',
  'cargo GET /api/v1/crates': 'list',
  'npm GET /-/v1/search': 'list',
  'npm GET /-/whoami': 'user',
  'npm GET /-/npm/v1/user': 'user',
  'npm GET /-/npm/v1/tokens': 'user',
  'npm GET /-/user/:user/package': 'user',
  // Refused to everybody: accounts are changed elsewhere.
  'npm POST /-/npm/v1/user': 'read',
  'npm POST /-/npm/v1/tokens': 'user',
  'npm DELETE /-/user/token/:token': 'user',
  'npm DELETE /-/npm/v1/tokens/token/:token': 'user',
  // What makes somebody known asks nobody who they are.
  'npm POST /-/v1/login': 'anyone',
  'npm PUT /-/user/:user': 'anyone',
  'npm PUT /-/user/:user/-rev/:rev': 'anyone',
  'npm POST /-/npm/v1/security/advisories/bulk': 'read',
  'npm POST /-/npm/v1/security/audits/quick': 'read',
  'npm POST /-/npm/v1/security/audits': 'read',
  'npm DELETE /-/package/:package/dist-tags/:tag': 'write',
  'npm DELETE /-/team/:scope/:team/package': 'write',
  'oci GET /v2/_catalog': 'list',
  'oci GET /v2/:name*/blobs/uploads/:id': 'write',
  'oci DELETE /v2/:name*/blobs/uploads/:id': 'write',
  'pypi GET /simple/': 'list',
  'pypi DELETE /pypi/:name/:version/yank': 'write',
}

const EMPTY = new Set([
  // Only one's own can be listed.
  'npm GET /-/user/:user/package',
  // Of what is not there, an empty list.
  'oci GET /v2/:name*/referrers/:digest',
  // Names of these lengths are not planted.
  'cargo GET /1/:crate',
  'cargo GET /2/:crate',
  'cargo GET /3/:first/:crate',
  'pypi GET /',
  'npm GET /-/npm/v1/attestations/:spec*',
  'pypi GET /integrity/:name/:version/:file/provenance',
])

export function requestsFor(format: Format): Asked[] {
  const { match } = compile(format.routes)
  const file: Asked = {
    ...{ name: `${format.name} GET a file`, method: 'GET', need: 'read', body: undefined, writes: false, empty: false },
    path: (flower) => FILES[format.name]?.(flower) ?? unreachable(`${format.name}: a file`),
    subject: (flower) => below(format.name, flower),
  }
  const asked = format.routes.map((route) => requestFor(format, route, match))
  return match('GET', file.path('violet')).kind === 'none' ? [...asked, file] : asked
}

/** What the subject of everything about a package begins with. */
export function below(format: string, flower: string): string {
  return (BELOW[format] ?? '') + flower
}

const BELOW: Record<string, string> = { go: 'example.com/', maven: 'com/example/' }

/** Where files lie that no route reads. */
const FILES: Record<string, (flower: string) => string> = {
  generic: (flower) => `/${flower}/file.txt`,
  cargo: (flower) => `/${flower}/${flower}-1.0.0.crate`,
  go: (flower) => `/example.com/${flower}/@v/v1.0.0.zip`,
  maven: (flower) => `/com/example/${flower}/1.0.0/${flower}-1.0.0.jar`,
  npm: (flower) => `/${flower}/-/${flower}-1.0.0.tgz`,
  oci: (flower) => `/v2/${flower}/blobs/${digestOf(layerOf(flower))}`,
  pypi: (flower) => `/${flower}/1.0.0/${flower}-1.0.0-py3-none-any.whl`,
}

function requestFor(format: Format, route: Route, match: ReturnType<typeof compile<Route>>['match']): Asked {
  const name = `${format.name} ${route.method} ${route.pattern}`
  const path = (flower: string) => {
    // What is planted stays: what changes something asks for a name that nothing has.
    const values = PARAMETERS[format.name]?.(route.writes ? 'absent' : flower) ?? {}
    return route.pattern.replace(/:([A-Za-z_]\w*)\*?/g, (_, key: string) => values[key] ?? unreachable(name))
  }
  const found = match(route.method, path('violet'))
  if (found.kind !== 'found' || found.route !== route) return unreachable(name)
  const body = BODIES[name]
  const subject = (flower: string) => {
    const asked = path(flower)
    const named = body || route.writes ? 'absent' : flower
    return body || asked.includes(named) ? below(format.name, named) : asked.slice(1)
  }
  const need = needOf(name)
  return { name, method: route.method, path, body, subject, need, writes: route.writes, empty: EMPTY.has(name) }
}

/** Routes whose handlers ask the gate themselves, when the body has named what it is about. */
const BODIES: Record<string, (flower: string) => string | Uint8Array> = {
  'cargo PUT /api/v1/crates/new': () => publishable('cargo', 'absent'),
}

function needOf(name: string): Need {
  const [, method] = name.split(' ')
  return NEEDS[name] ?? (method === 'GET' ? 'read' : method === 'DELETE' ? 'delete' : 'write')
}

function unreachable(name: string): never {
  throw new Error(`The access matrix cannot make a request for ${name}: say in test/access/routes.ts what it takes`)
}
