/** Clients that fetch and throw away: fast ones and slow ones, each with a connection of its own. */
import { type Answer, Connection } from './connection.js'

export interface DrainOptions {
  /** Client i begins with target i and goes on from there, round and round. */
  targets: { url: string; path: string }[]
  clients: { count: number; pace?: number }[]
  headers?: Record<string, string>
  /** How many targets further a client goes on. Default 1. */
  stride?: number
  /** Each client ends after so many. */
  requestsEach?: number
  /** All end, also in the middle of an answer, when so many bytes have arrived. */
  totalBytes?: number
  maxMs: number
}

export interface DrainReport {
  bytes: number
  seconds: number
  /** Complete answers. */
  requests: number
  /** Of the complete answers, in the order in which they ended. */
  answers: { target: number; client: number; ms: number; firstByteMs: number; source: string }[]
}

export async function drain(options: DrainOptions): Promise<DrainReport> {
  const report: DrainReport = { bytes: 0, seconds: 0, requests: 0, answers: [] }
  const open = new Set<Connection>()
  let over = false
  const end = () => {
    over = true
    for (const connection of open) connection.close()
  }
  const onBytes = (bytes: number) => {
    report.bytes += bytes
    if (options.totalBytes !== undefined && report.bytes >= options.totalBytes) end()
  }
  const startedAt = performance.now()
  const timer = setTimeout(end, options.maxMs)
  const client = async (number: number, pace: number | undefined) => {
    const connections = new Map<string, Connection>()
    for (let i = 0; !over && i < (options.requestsEach ?? Number.POSITIVE_INFINITY); i++) {
      const target = (number + i * (options.stride ?? 1)) % options.targets.length
      const { url, path } = options.targets[target] ?? { url: '', path: '' }
      const connection =
        connections.get(url) ?? new Connection(url, { onBytes, ...(pace === undefined ? {} : { pace }) })
      connections.set(url, connection)
      open.add(connection)
      const answer = await connection.request({ path, headers: options.headers ?? {} }).catch((error: unknown) => {
        if (!over) throw error
      })
      if (!answer) break
      count(report, answer, { target, client: number, path })
    }
    for (const connection of connections.values()) connection.close()
  }
  const paces = options.clients.flatMap(({ count: clients, pace }) => Array.from({ length: clients }, () => pace))
  try {
    await Promise.all(paces.map((pace, number) => client(number, pace)))
  } finally {
    clearTimeout(timer)
    end()
  }
  report.seconds = (performance.now() - startedAt) / 1000
  return report
}

function count(
  report: DrainReport,
  answer: Answer,
  { target, client, path }: { target: number; client: number; path: string },
): void {
  if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`)
  report.requests++
  const source = answer.headers.get('x-cairn-source') ?? ''
  report.answers.push({ target, client, ms: answer.ms, firstByteMs: answer.firstByteMs, source })
}
