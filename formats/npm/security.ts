/**
 * What `npm audit` and installs ask about known vulnerabilities, and the keys that registry signatures are checked with. This
 * registry knows no advisories of its own and signs no versions, and says so in the form that clients expect.
 */
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import { readBody } from '../text/body.js'

const BODY_LIMIT = 32 * 1024 * 1024
const NO_STORE = { 'cache-control': 'no-store' }
const NONE = { info: 0, low: 0, moderate: 0, high: 0, critical: 0 }

export async function bulkAdvisories({ request }: Call<unknown>): Promise<Reply> {
  await readBody(request, BODY_LIMIT)
  return json({}, 200, NO_STORE)
}

export async function quickAudit({ request }: Call<unknown>): Promise<Reply> {
  await readBody(request, BODY_LIMIT)
  const dependencies = { dependencies: 0, devDependencies: 0, optionalDependencies: 0, totalDependencies: 0 }
  return json(
    { actions: [], advisories: {}, muted: [], metadata: { vulnerabilities: NONE, ...dependencies } },
    200,
    NO_STORE,
  )
}

export async function readKeys(): Promise<Reply> {
  return json({ keys: [] }, 200, { 'cache-control': 'public, max-age=300' })
}
