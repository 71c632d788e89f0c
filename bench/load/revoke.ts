/** Takes a right away in one way after the other and asks every node, at most a millisecond apart, until all refuse. */
import { Connection } from './connection.js'

export interface RevokeOptions {
  primary: string
  nodes: string[]
  /** Of an administrator. */
  authorization: string
  /** A private repository, and a file in it. */
  repository: string
  file: string
  rounds: number
  deadlineMs: number
}

const WAYS = ['token', 'grant', 'group', 'user'] as const
type Way = (typeof WAYS)[number]

export interface RevokeReport {
  /** From sending the revocation until the last node refused, by what was revoked. */
  refusedMs: Record<Way, number[]>
}

const POLL_MS = 1
const PASSWORD = 'reads what it is let read, 2026'

export async function revoke(options: RevokeOptions): Promise<RevokeReport> {
  const { repository, authorization, rounds } = options
  const primary = new Connection(options.primary)
  const nodes = options.nodes.map((url) => new Connection(url))
  const call = async (method: string, path: string, value?: unknown, as = authorization) => {
    const headers = { authorization: as, 'content-type': 'application/json' }
    const body = value === undefined ? {} : { body: Buffer.from(JSON.stringify(value)) }
    const answer = await primary.request({ method, path: `/api/v1${path}`, headers, ...body, keep: true })
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.body}`)
    return (answer.body.length > 0 ? JSON.parse(answer.body.toString('utf8')) : {}) as Record<string, string>
  }
  const reach = (as: string, allowed: boolean) =>
    Promise.all(nodes.map((node) => answers(node, { ...options, authorization: as }, allowed)))
  const credential = { username: 'bench-reader', password: PASSWORD }
  await call('POST', '/users', { ...credential, groups: ['bench-readers'] })
  const { access_token } = await call('POST', '/auth/login', credential)
  const tokenBy = (as: string) => call('POST', '/auth/tokens', { name: 'bench', scopes: ['*'] }, as)
  const reader = `Bearer ${(await tokenBy(`Bearer ${access_token}`)).value}`
  const letRead = () => call('POST', '/grants', { group: 'bench-readers', repository, actions: ['read'] })
  const change = (value: object) => call('PATCH', '/users/bench-reader', value)
  let grant = await letRead()

  const steps: Record<
    Way,
    () => Promise<{ as: string; revoke: () => Promise<unknown>; restore?: () => Promise<unknown> }>
  > = {
    token: async () => {
      const token = await tokenBy(reader)
      return {
        as: `Bearer ${token.value}`,
        revoke: () => call('DELETE', `/auth/tokens/${token.id}`, undefined, reader),
      }
    },
    grant: async () => ({
      as: reader,
      revoke: () => call('DELETE', `/grants/${grant.id}`),
      restore: async () => {
        grant = await letRead()
      },
    }),
    group: async () => ({
      as: reader,
      revoke: () => change({ groups: [] }),
      restore: () => change({ groups: ['bench-readers'] }),
    }),
    user: async () => ({
      as: reader,
      revoke: () => change({ is_disabled: true }),
      restore: () => change({ is_disabled: false }),
    }),
  }
  const report: RevokeReport = { refusedMs: { token: [], grant: [], group: [], user: [] } }
  for (let i = 0; i < rounds; i++)
    for (const way of WAYS) {
      const step = await steps[way]()
      await reach(step.as, true)
      const sentAt = performance.now()
      const [refusedAt] = await Promise.all([reach(step.as, false), step.revoke()])
      report.refusedMs[way].push(Math.max(...refusedAt) - sentAt)
      await step.restore?.()
    }
  for (const connection of [primary, ...nodes]) connection.close()
  return report
}

/** When the node first answered so. */
export async function answers(
  node: Connection,
  options: Pick<RevokeOptions, 'repository' | 'file' | 'authorization' | 'deadlineMs'>,
  allowed: boolean,
): Promise<number> {
  const { repository, file, authorization, deadlineMs } = options
  const end = performance.now() + deadlineMs
  for (;;) {
    const { status } = await node.request({ path: `/repository/${repository}/${file}`, headers: { authorization } })
    const now = performance.now()
    if ((status === 200) === allowed) return now
    if (status >= 500) throw new Error(`a node answered ${status}`)
    if (now > end) throw new Error(`a node still answers ${status} after ${deadlineMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
