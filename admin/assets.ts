/** Script and style of the pages, as files of their own: the policy allows nothing inline. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Reply } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import { type Assets, icon } from './layout.js'
import { PASSKEY_SCRIPT } from './passkeys.js'
import { STYLE } from './style.js'

interface File {
  body: Uint8Array
  type: string
}

/** Reads the script once. `serve`: undefined when the path is none of theirs. */
export async function openAssets(): Promise<{ assets: Assets; serve: (request: HttpRequest) => Reply | undefined }> {
  const script = await readFile(createRequire(import.meta.url).resolve('htmx.org/dist/htmx.min.js'))
  const files = new Map<string, File>([
    ['/admin/style.css', { body: Buffer.from(STYLE), type: 'text/css; charset=utf-8' }],
    ['/admin/icon.svg', { body: Buffer.from(icon()), type: 'image/svg+xml' }],
    ['/admin/passkeys.js', { body: Buffer.from(PASSKEY_SCRIPT), type: 'text/javascript; charset=utf-8' }],
    ['/admin/htmx.js', { body: script, type: 'text/javascript; charset=utf-8' }],
  ])
  const address = (path: string) => `${path}?v=${digest(files.get(path)?.body ?? script)}`
  return {
    assets: {
      style: address('/admin/style.css'),
      scripts: [address('/admin/htmx.js'), address('/admin/passkeys.js')],
      icon: address('/admin/icon.svg'),
    },
    serve: ({ path, query }) => {
      const file = files.get(path)
      // Only the address that names this very content may be kept for good.
      return file && reply(file, `${path}?${query}` === address(path))
    },
  }
}

function reply({ body, type }: File, current: boolean): Reply {
  return {
    status: 200,
    headers: {
      'content-type': type,
      'cache-control': current ? 'public, max-age=31536000, immutable' : 'no-cache',
      etag: `"${digest(body)}"`,
    },
    body,
  }
}

function digest(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16)
}
