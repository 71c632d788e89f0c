/** Files of any kind, under any path: PUT, GET, HEAD, DELETE, directory listings, digests in and out, uploads in parts. */
import { type Format, read, write } from '../protocol/format.js'
import { get } from './generic/get.js'
import { put } from './generic/put.js'
import { remove } from './generic/remove.js'
import { readUpload } from './generic/upload.js'

export const generic: Format = {
  name: 'generic',
  hashes: [],
  routes: [
    write('GET', '/-/uploads/:path*', readUpload, { subject: ({ path = '' }) => path }),
    read('/:path*', get),
    write('PUT', '/:path*', put),
    // Some upload tools only know POST.
    write('POST', '/:path*', put),
    write('DELETE', '/:path*', remove, { action: 'delete' }),
  ],
  // Every path is asked for as it is, and keeps its bytes.
  upstream: {},
  snippet: ({ base }) =>
    [
      `curl -u USER:TOKEN -T file.bin ${base}/folder/file.bin`,
      `curl -O ${base}/folder/file.bin`,
      `curl ${base}/folder/`,
    ].join('\n'),
}
