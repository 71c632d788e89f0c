/** How fast a node answers the index documents that pip, cargo and Maven begin with, beside nginx with the same bytes as a file. */

import { publishBody } from '../../test/support/crate.js'
import { FORM_TYPE, sdist, uploadForm, wheel } from '../../test/support/python-package.js'
import type { Bench, Context, Row } from '../bench.js'
import { besideNginx, NGINX_MISSING } from '../rate.js'
import { type Cairn, startCairn } from '../rig/cairn.js'
import { startNginx } from '../rig/nginx.js'
import { wrkMissing } from '../rig/wrk.js'

export const indexes: Bench = {
  name: 'index',
  title: 'requests/s for PyPI, Cargo and Maven index documents at a node, beside nginx',
  run,
}

/** Versions of a young package, and of one that has been around for years. */
const SIZES = [
  { name: 'small-package', versions: 1 },
  { name: 'large-package', versions: 20 },
]
/** As pip 24 sends them; cargo and Maven take the same coding. */
const GZIP = { 'accept-encoding': 'gzip, deflate' }
const PIP = 'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01'

const PAGES = [
  { what: 'PyPI simple page as JSON', key: 'index-pypi', path: simple, headers: { accept: PIP, ...GZIP } },
  { what: 'PyPI simple page as HTML', key: 'index-pypi', path: simple, headers: { accept: 'text/html', ...GZIP } },
  { what: 'Cargo sparse index', key: 'index-cargo', path: sparse, headers: GZIP },
  { what: 'Maven metadata', key: 'index-maven', path: metadata, headers: GZIP },
]

async function run(context: Context): Promise<Row[]> {
  const nginx = await startNginx(context.rig)
  const missing = nginx ? await wrkMissing() : NGINX_MISSING
  if (!nginx || missing !== undefined)
    return PAGES.map(({ what }) => ({ what: `${what} at a node ÷ nginx`, skipped: missing ?? NGINX_MISSING }))
  const cairn = await startCairn(context.rig, { nodes: 1 })
  for (const format of ['pypi', 'cargo', 'maven']) await cairn.rest.createRepository(`index-${format}`, format, true)
  for (const { name, versions } of SIZES) for (let i = 0; i < versions; i++) await publish(cairn, name, `1.${i}.0`)
  await cairn.settled()
  const rows: Row[] = []
  for (const { what, key, path, headers } of PAGES) {
    for (const { name } of SIZES) {
      const url = `${cairn.edges[0]}/repository/${key}/${path(name)}`
      rows.push(await besideNginx(context, { cairn, nginx }, { what: `${what} at a node`, url, headers }))
    }
  }
  return rows
}

function simple(name: string): string {
  return `simple/${name}/`
}

function sparse(name: string): string {
  return `${name.slice(0, 2)}/${name.slice(2, 4)}/${name}`
}

function metadata(name: string): string {
  return `com/example/${name}/maven-metadata.xml`
}

async function publish({ rest }: Cairn, name: string, version: string): Promise<void> {
  const requires = ['requests>=2.31', 'click~=8.1', 'pyyaml>=6', 'typing-extensions; python_version < "3.11"']
  const project = { name, version, requires, requiresPython: '>=3.9' }
  for (const upload of [wheel(project), sdist(project)])
    await rest.send('POST', '/repository/index-pypi/legacy/', uploadForm(upload), FORM_TYPE)
  const deps = ['serde', 'tokio', 'thiserror', 'tracing'].map(dependency)
  await rest.send('PUT', '/repository/index-cargo/api/v1/crates/new', publishBody({ name, vers: version, deps }))
  const file = `com/example/${name}/${version}/${name}-${version}.pom`
  await rest.send('PUT', `/repository/index-maven/${file}`, Buffer.from(pom(name, version)), 'text/xml')
}

function dependency(name: string) {
  return {
    name,
    version_req: '^1.0',
    features: ['std', 'derive'],
    optional: false,
    default_features: true,
    target: null,
    kind: 'normal',
    registry: null,
    explicit_name_in_toml: null,
  }
}

function pom(name: string, version: string): string {
  const coordinates = `<groupId>com.example</groupId><artifactId>${name}</artifactId><version>${version}</version>`
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>${coordinates}</project>`
}
