/** Requests per second of what a node has rendered before: how they are measured, what one costs, and a static file beside them. */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context, Row } from './bench.js'
import type { Cairn } from './rig/cairn.js'
import type { Nginx } from './rig/nginx.js'
import { cpuSeconds } from './rig/proc.js'
import { get } from './rig/rest.js'
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

/** The node's own bytes as a file; what nginx answers is compared before the clock starts. */
export async function besideNginx(
  context: Context,
  { cairn, nginx }: { cairn: Cairn; nginx: Nginx },
  { what, url, headers = {} }: Page,
): Promise<Row> {
  const { body } = await get(url, { ...headers, 'accept-encoding': 'identity' })
  const name = createHash('sha256')
    .update(url + JSON.stringify(headers))
    .digest('hex')
  await writeFile(join(nginx.root, name), body)
  const file = `${nginx.url}/${name}`
  if (!body.equals((await get(file)).body)) throw new Error(`nginx does not answer ${url} as the node does`)
  const cost = new Cost(await cairn.nodePid(0))
  const measured = await pairs(
    pairCount(context),
    () => cost.of(() => rate(url, context, headers)),
    () => rate(file, context, headers),
  )
  return {
    what: `${what} ÷ nginx, ${sizeText(body.length)}`,
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
