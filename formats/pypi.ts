/**
 * The Python package index: uploads as twine and its kin send them, the simple index as installers read it, and the JSON API.
 * Files lie at /{project}/{version}/{file}, and beside each {file}.metadata and perhaps {file}.provenance.
 */
import { type Format, read, write } from '../protocol/format.js'
import { contentTypeOf } from '../protocol/http/mime.js'
import { rootRoute } from '../protocol/root.js'
import { readProvenance } from './pypi/attestations.js'
import { readProjectJson, readVersionJson } from './pypi/json-api.js'
import { lock } from './pypi/lock.js'
import { normalName } from './pypi/name.js'
import { removeFile, removeVersion } from './pypi/remove.js'
import { moveToRoot, readRoot, readTop } from './pypi/root.js'
import { moveToProject, readProject } from './pypi/simple.js'
import { mintToken, readAudience } from './pypi/trusted.js'
import { upload } from './pypi/upload.js'
import { upstream } from './pypi/upstream.js'
import { compareTexts } from './pypi/version.js'
import { unyank, yank } from './pypi/yank.js'

/** The gate is asked about the project, wherever in the path its name stands, as files are below it. */
const OF_PROJECT = { subject: ({ name = '' }: Record<string, string>) => normalName(name) }
const DELETES = { ...OF_PROJECT, action: 'delete' } as const
const DISTRIBUTION = { file: /[^/]+\.(?:whl|tar\.gz|zip)/ }

export const pypi: Format = {
  name: 'pypi',
  hashes: ['md5'],
  rootRoutes: [rootRoute('GET', '/_/oidc/audience', readAudience), rootRoute('POST', '/_/oidc/mint-token', mintToken)],
  routes: [
    read('/', readTop),
    write('POST', '/', upload),
    write('POST', '/legacy/', upload),
    write('POST', '/legacy', upload),

    read('/simple', moveToRoot),
    read('/simple/', readRoot, { lists: true }),
    read('/simple/:name', moveToProject, OF_PROJECT),
    read('/simple/:name/', readProject, OF_PROJECT),

    // Before the others: a project may be called "pypi".
    write('DELETE', '/:name/:version/:file', removeFile, { ...DELETES, params: DISTRIBUTION }),
    read('/pypi/:name/json', readProjectJson, OF_PROJECT),
    read('/pypi/:name/:version/json', readVersionJson, OF_PROJECT),
    write('PUT', '/pypi/:name/:version/yank', yank, OF_PROJECT),
    write('DELETE', '/pypi/:name/:version/yank', unyank, OF_PROJECT),
    write('DELETE', '/pypi/:name/:version', removeVersion, DELETES),

    read('/integrity/:name/:version/:file/provenance', readProvenance, OF_PROJECT),
  ],

  contentType: (path) =>
    path.endsWith('.metadata')
      ? 'text/plain; charset=utf-8'
      : path.endsWith('.provenance')
        ? 'application/vnd.pypi.integrity.v1+json'
        : contentTypeOf(path),

  grammar: { name: normalName, compare: compareTexts },
  lock,
  upstream,

  environment: ({ base, token }) => {
    const index = `${token === undefined ? base : base.replace('://', `://__token__:${token}@`)}/simple/`
    return {
      variables: { PIP_INDEX_URL: index, PIP_TRUSTED_HOST: new URL(base).host, UV_DEFAULT_INDEX: index },
    }
  },
  snippet: ({ base }) =>
    [
      `twine upload --repository-url ${base}/legacy/ -u __token__ -p YOUR-TOKEN dist/*`,
      `uv publish --publish-url ${base}/legacy/ --token YOUR-TOKEN`,
      `pip install --index-url ${base}/simple/ your-package`,
      `uv pip install --default-index ${base}/simple/ your-package`,
    ].join('\n'),
}
