/**
 * Go modules, as the GOPROXY protocol has them: /{module}/@v/list, {version}.info, .mod and .zip, /{module}/@latest. Names in paths
 * are escaped ("!" and a small letter for a capital one); packages in records have the module's real path. Below sumdb/ are files of
 * checksum databases, where an upstream has any.
 */
import { type Format, read, write } from '../protocol/format.js'
import { text } from '../protocol/http/reply.js'
import { MODULE } from './go/address.js'
import { escapeCase } from './go/escape.js'
import { readLatest, readList, readVersion } from './go/indexes.js'
import { lock } from './go/lock.js'
import { putZip } from './go/publish.js'
import { removeVersion } from './go/remove.js'
import { upstream } from './go/upstream.js'
import { compareTexts } from './go/version.js'

const OF_MODULE = { params: { module: MODULE } }

export const go: Format = {
  name: 'go',
  hashes: [],
  routes: [
    read('/:module/@v/list', readList, OF_MODULE),
    read('/:module/@latest', readLatest, OF_MODULE),
    read('/:module/@v/:file', readVersion, OF_MODULE),
    write('PUT', '/:module/@v/:file', putZip, OF_MODULE),
    write('DELETE', '/:module/@v/:file', removeVersion, { ...OF_MODULE, action: 'delete' }),
  ],

  /** The go command prints the text of a reply that failed, if it is plain. */
  error: ({ message }, status) => text(`${message}\n`, status),

  upstream,
  grammar: { path: escapeCase, compare: compareTexts },
  lock,

  environment: ({ base }) => ({ variables: { GOPROXY: base } }),
  snippet: ({ base }) =>
    [
      `go env -w GOPROXY=${base},$(go env GOPROXY)`,
      'go env -w GONOSUMDB=example.com   # your own modules are in no public checksum database',
      'go get example.com/your/module@v1.0.0',
      '# publish a tag, from its repository (capital letters in the address: "!" and the small letter)',
      'git archive -o module.zip --prefix=example.com/your/module@v1.0.0/ v1.0.0',
      `curl -u USER:TOKEN -T module.zip ${base}/example.com/your/module/@v/v1.0.0.zip`,
    ].join('\n'),
}
