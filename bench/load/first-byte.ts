/** Time until the first byte of each of a list of files, one after the other over connections that stand already. */
import { Connection } from './connection.js'

export interface FirstByteOptions {
  requests: { url: string; path: string }[]
  headers?: Record<string, string>
}

export interface FirstByteReport {
  /** In the order of the requests. */
  answers: { firstByteMs: number; ms: number; source: string }[]
}

export async function firstByte({ requests, headers = {} }: FirstByteOptions): Promise<FirstByteReport> {
  const connections = new Map<string, Connection>()
  const report: FirstByteReport = { answers: [] }
  for (const { url, path } of requests) {
    let connection = connections.get(url)
    if (!connection) {
      connection = new Connection(url)
      connections.set(url, connection)
      await connection.request({ path: '/health' })
    }
    const answer = await connection.request({ path, headers })
    if (answer.status !== 200) throw new Error(`${url}${path} answered ${answer.status}`)
    report.answers.push({
      firstByteMs: answer.firstByteMs,
      ms: answer.ms,
      source: answer.headers.get('x-cairn-source') ?? '',
    })
  }
  for (const connection of connections.values()) connection.close()
  return report
}
