/** Clients that log in with passwords, again and again; who is told to wait comes back when it was told to. */
import { setTimeout } from 'node:timers/promises'
import { Connection } from './connection.js'

export interface StormOptions {
  url: string
  clients: number
  usernames: string[]
  password: string
  seconds: number
}

export interface StormReport {
  /** How often one got in, and was sent away. */
  entered: number
  refused: number
}

export async function storm({ url, clients, usernames, password, seconds }: StormOptions): Promise<StormReport> {
  const report: StormReport = { entered: 0, refused: 0 }
  const end = performance.now() + seconds * 1000
  const client = async (username: string | undefined): Promise<void> => {
    const connection = new Connection(url)
    const body = Buffer.from(JSON.stringify({ username, password }))
    const headers = { 'content-type': 'application/json' }
    while (performance.now() < end) {
      const { status, headers: said } = await connection.request({
        method: 'POST',
        path: '/api/v1/auth/login',
        headers,
        body,
      })
      if (status === 200) report.entered++
      else if (status === 429) {
        report.refused++
        await setTimeout(Math.min(Number(said.get('retry-after')) * 1000, Math.max(0, end - performance.now())))
      } else throw new Error(`the log-in answered ${status}`)
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: clients }, (_, i) => client(usernames[i % usernames.length])))
  return report
}
