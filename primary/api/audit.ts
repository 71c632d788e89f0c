/** The audit trail: newest first for people, oldest first and whole for programs, with what its chain ends in. */
import { z } from 'zod'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { limit, pageOf } from '../../protocol/api/page.js'
import { API } from '../../protocol/api/reads.js'
import { time } from '../../protocol/api/shapes.js'
import type { Audit } from '../accounts/audit.js'
import { AuditCheck } from '../accounts/audit-check.js'

const auditShape = z
  .object({
    id: z.number(),
    at: time,
    username: z.string(),
    action: z.string(),
    subject: z.string(),
    outcome: z.string().meta({ description: '"ok", or the code of the error' }),
    request_id: z.string(),
    remote: z.string(),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEntry' })

export function auditEndpoints(audit: Audit): Endpoint[] {
  const check = new AuditCheck(audit)
  return [
    endpoint({
      name: 'audit.list',
      method: 'GET',
      path: `${API}/admin/audit`,
      summary: 'Who did what, newest first',
      access: 'auditor',
      query: z.strictObject({
        limit,
        after: z
          .string()
          .regex(/^\d{1,15}$/, 'must be the "next" of an earlier page')
          .optional(),
        username: z.string().max(128).optional(),
        action: z.string().max(64).optional(),
      }),
      reply: pageOf(auditShape),
      handle: async ({ query }) => {
        const before = query.after === undefined ? undefined : Number(query.after)
        const rows = await audit.list({ before, who: query.username, action: query.action, limit: query.limit + 1 })
        const items = rows.slice(0, query.limit)
        return {
          items: items.map(({ who, requestId, ...row }) => ({ ...row, username: who, request_id: requestId })),
          next: rows.length > items.length ? String(items.at(-1)?.id) : null,
        }
      },
    }),
    endpoint({
      name: 'audit.head',
      method: 'GET',
      path: `${API}/admin/audit/head`,
      summary: 'The newest row and its hash: kept elsewhere, it shows later that the trail was not written anew',
      access: 'auditor',
      reply: z.object({ id: z.number(), hash: z.string() }).meta({ id: 'AuditHead' }),
      handle: async () => audit.head(),
    }),
    endpoint({
      name: 'audit.verify',
      method: 'GET',
      path: `${API}/admin/audit/verify`,
      summary: 'Whether the chain of the trail is whole, by what is in the database',
      access: 'auditor',
      reply: z.object({
        rows: z.number(),
        hash: z.string(),
        broken: z.string().nullable().meta({ description: 'What is wrong, if anything' }),
      }),
      handle: async () => {
        const { rows, hash, broken = null } = await check.run()
        return { rows, hash, broken }
      },
    }),
    endpoint({
      name: 'audit.export',
      method: 'GET',
      path: `${API}/admin/audit/export`,
      summary: 'The trail as JSON lines, oldest first, each with its hash and the one before',
      access: 'auditor',
      query: z.strictObject({
        after: z
          .string()
          .regex(/^\d{1,15}$/, 'must be the id of a row')
          .optional(),
      }),
      reply: 'raw',
      handle: async ({ query }) => ({
        status: 200,
        headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' },
        body: audit.export(Number(query.after ?? 0)),
      }),
    }),
  ]
}
