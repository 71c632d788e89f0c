/** A company's provider says over SCIM that somebody is not active; every node is asked with that person's token, until all refuse. */
import { Connection } from './connection.js'
import { answers } from './revoke.js'

export interface DeactivateOptions {
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

export interface DeactivateReport {
  /** From sending the request until the last node refused. */
  refusedMs: number[]
}

const PASSWORD = 'reads what it is let read, 2026'
const PROVIDER = '/api/v1/identity-providers'
const USER = 'bench-provisioned'

export async function deactivate(options: DeactivateOptions): Promise<DeactivateReport> {
  const { repository, authorization, rounds } = options
  const primary = new Connection(options.primary)
  const nodes = options.nodes.map((url) => new Connection(url))
  const call = async (method: string, path: string, value?: unknown, as = authorization) => {
    const headers = { authorization: as, 'content-type': 'application/json' }
    const body = value === undefined ? {} : { body: Buffer.from(JSON.stringify(value)) }
    const answer = await primary.request({ method, path, headers, ...body, keep: true })
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.body}`)
    return (answer.body.length > 0 ? JSON.parse(answer.body.toString('utf8')) : {}) as Record<string, string>
  }
  const reach = (as: string, allowed: boolean) =>
    Promise.all(nodes.map((node) => answers(node, { ...options, authorization: as }, allowed)))
  await call('POST', PROVIDER, { key: 'bench', kind: 'scim', settings: {} })
  const provisioning = `Bearer ${(await call('POST', `${PROVIDER}/bench/tokens`, { name: 'bench' })).value}`
  const { id } = await call('POST', '/scim/v2/Users', { userName: USER }, provisioning)
  const set = (active: boolean) =>
    call(
      'PATCH',
      `/scim/v2/Users/${id}`,
      { Operations: [{ op: 'replace', path: 'active', value: active }] },
      provisioning,
    )
  await call('PUT', `/api/v1/users/${USER}/password`, { password: PASSWORD })
  await call('POST', '/api/v1/grants', { user: USER, repository, actions: ['read'] })
  const refusedMs: number[] = []
  for (let i = 0; i < rounds; i++) {
    const session = await call('POST', '/api/v1/auth/login', { username: USER, password: PASSWORD })
    const reader = `Bearer ${(await call('POST', '/api/v1/auth/tokens', { name: 'bench' }, `Bearer ${session.access_token}`)).value}`
    await reach(reader, true)
    const sentAt = performance.now()
    const [refusedAt] = await Promise.all([reach(reader, false), set(false)])
    refusedMs.push(Math.max(...refusedAt) - sentAt)
    await set(true)
  }
  for (const connection of [primary, ...nodes]) connection.close()
  return { refusedMs }
}
