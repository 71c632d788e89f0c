/** wrk: requests per second with one thread and kept-alive connections. Throws when a reply is not 2xx. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface Wrk {
  requestsPerSecond: number
  latencyMs: { p50: number; p99: number }
}

export interface WrkOptions {
  seconds: number
  connections: number
  headers?: Record<string, string>
}

const run = promisify(execFile)
const UNIT_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

export async function wrk(url: string, { seconds, connections, headers = {} }: WrkOptions): Promise<Wrk> {
  const named = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...named, url]
  const { stdout } = await run('wrk', args, { timeout: (seconds + 30) * 1000 })
  const wrong = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(stdout)?.[0]
  if (wrong) throw new Error(`${url}: ${wrong}`)
  const requestsPerSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
  if (!Number.isFinite(requestsPerSecond))
    throw new Error(`wrk said nothing that can be understood: ${stdout.slice(0, 300)}`)
  return { requestsPerSecond, latencyMs: { p50: latency(stdout, 50), p99: latency(stdout, 99) } }
}

/** Why wrk cannot be used here, or undefined. */
export async function wrkMissing(): Promise<string | undefined> {
  try {
    // It has no option that ends with 0.
    await run('wrk', ['-v']).catch((error: { code?: unknown }) => {
      if (error.code === 'ENOENT') throw error
    })
    return undefined
  } catch {
    return 'wrk is not installed (Debian: apt-get install wrk)'
  }
}

function latency(text: string, percent: number): number {
  const [, value, unit = ''] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s|m)`, 'm').exec(text) ?? []
  return Number(value) * (UNIT_MS[unit] ?? Number.NaN)
}
