/**
 * Where the embedded Postgres listens. A socket beside its data is best: no port to clash, nothing on the network. Its path may
 * be too long for one, or its file system may have none: then one in a short directory, then a port of the loopback address.
 */
import { createHash } from 'node:crypto'
import { lstat, mkdir, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Postmaster } from './postmaster.js'

export type Endpoint = { socketDir: string } | { port: number }

export const SOCKET_NAME = '.s.PGSQL.5432'
/** sun_path is 104 bytes on macOS and 108 on Linux, its NUL included. */
const MAX_SOCKET_PATH = 103

/** In the order in which they are tried. `own` gives a path to the server's user. */
export async function* endpoints(
  home: string,
  port: number | undefined,
  own: (path: string) => Promise<void>,
): AsyncIterable<Endpoint> {
  if (port !== undefined && port !== 0) return yield { port }
  if (port === undefined && process.platform !== 'win32') {
    if (fits(home)) yield { socketDir: home }
    const short = await makeShort(home, own)
    if (short !== undefined) yield { socketDir: short }
  }
  yield { port: await freePort() }
}

/** Did a start fail for its endpoint, so that another one may work. */
export function isAboutSocket(output: string): boolean {
  return /could not (create|bind).*(socket|Unix)|Unix-domain socket/i.test(output)
}

export function endpointOf(found: Postmaster): Endpoint | undefined {
  if (found.socketDir !== '') return { socketDir: found.socketDir }
  return found.port > 0 ? { port: found.port } : undefined
}

/** Made for this data alone, and removed when the server is stopped. */
export function shortDirectory(home: string): string {
  return join(tmpdir(), `cairn-${createHash('sha256').update(home).digest('hex').slice(0, 16)}`)
}

/** undefined when somebody else has made it, or it is no shorter. */
async function makeShort(home: string, own: (path: string) => Promise<void>): Promise<string | undefined> {
  const path = shortDirectory(home)
  if (!fits(path)) return undefined
  await mkdir(path, { mode: 0o700 }).catch(() => undefined)
  await own(path).catch(() => undefined)
  const [made, data] = await Promise.all([lstat(path), stat(home)]).catch(() => [undefined, undefined])
  const safe = made?.isDirectory() === true && made.uid === data?.uid && (made.mode & 0o077) === 0
  return safe ? path : undefined
}

function fits(directory: string): boolean {
  return Buffer.byteLength(join(directory, SOCKET_NAME)) <= MAX_SOCKET_PATH
}

async function freePort(): Promise<number> {
  return await new Promise((settle, fail) => {
    const server = createServer()
    server.once('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => settle(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
