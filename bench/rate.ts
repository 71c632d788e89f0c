/** Requests per second of what a node has rendered before: how they are measured, what one costs, and a static file beside them. */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { Context, Row } from './bench.js'
import { Connection } from './load/connection.js'
import type { Cairn } from './rig/cairn.js'
import type { Nginx } from './rig/nginx.js'
import { cpuSeconds } from './rig/proc.js'
import { wrk } from './rig/wrk.js'
import { median, pairs } from './statistics.js'

export const NGINX_MISSING = 'nginx is not installed (Debian: apt-get install nginx)'
export const SHARING = 'wrk with one thread and 32 kept-alive connections; it shares the cores with the server.'

const CONNECTIONS = 32

export interface Page {
  what: string
  url: string
  /** As the ecosystem's client sends them. */
  headers?: Record<string, string>
}

/**
 * The node's own bytes as a file, compressed beforehand where the client wants that; what nginx answers is compared before the clock
 * starts.
 */
export async function besideNginx(
  context: Context,
  { cairn, nginx }: { cairn: Cairn; nginx: Nginx },
  { what, url, headers = {} }: Page,
): Promise<Row> {
  const { body, coding } = await raw(url, headers)
  const name = createHash('sha256')
    .update(JSON.stringify([url, headers]))
    .digest('hex')
  await writeFile(join(nginx.root, name), coding === 'gzip' ? gunzipSync(body) : body)
  if (coding === 'gzip') await writeFile(join(nginx.root, `${name}.gz`), body)
  const file = `${nginx.url}/${name}`
  if (!body.equals((await raw(file, headers)).body)) throw new Error(`nginx does not answer ${url} as the node does`)
  for (const side of [url, file]) await rate(side, context, headers)
  const cost = new Cost(await cairn.nodePid(0))
  const measured = await pairs(
    pairCount(context),
    () => cost.of(() => rate(url, context, headers)),
    () => rate(file, context, headers),
  )
  return {
    what: `${what} ÷ nginx, ${sizeText(body.length)}${coding === undefined ? '' : ` of ${coding}`}`,
    value: median(measured.ratios),
    unit: 'x',
    must: { be: 'at least', value: 1 },
    raw: {
      'node requests/s': measured.ours,
      'nginx requests/s': measured.theirs,
      ratio: measured.ratios,
      'node CPU µs/request': cost.microseconds,
    },
    notes: [SHARING],
  }
}

export async function rate(url: string, { quick }: Context, headers: Record<string, string> = {}): Promise<number> {
  const { requestsPerSecond } = await wrk(url, { seconds: quick ? 1 : 2, connections: CONNECTIONS, headers })
  return requestsPerSecond
}

/** As it comes, compressed or not. */
async function raw(
  url: string,
  headers: Record<string, string>,
): Promise<{ body: Buffer; coding: string | undefined }> {
  const { origin, pathname } = new URL(url)
  const connection = new Connection(origin)
  const answer = await connection.request({ path: pathname, headers, keep: true })
  connection.close()
  if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`)
  return { body: answer.body, coding: answer.headers.get('content-encoding') }
}

export function pairCount({ quick }: Context): number {
  return quick ? 2 : 5
}

export function sizeText(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`
}

/** Processor time per request, which says what a rate hides when the generator is the slower one. */
export class Cost {
  readonly microseconds: number[] = []
  readonly #pid: number

  constructor(pid: number) {
    this.#pid = pid
  }

  async of(measure: () => Promise<number>): Promise<number> {
    const before = (await cpuSeconds(this.#pid)) ?? Number.NaN
    const startedAt = performance.now()
    const perSecond = await measure()
    const used = ((await cpuSeconds(this.#pid)) ?? Number.NaN) - before
    this.microseconds.push((used * 1e6) / (perSecond * ((performance.now() - startedAt) / 1000)))
    return perSecond
  }
}
