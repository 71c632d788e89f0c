/** The operator's recovery key, of which only public halves are here. */
import { z } from 'zod'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { API } from '../../protocol/api/reads.js'
import { time } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Ledger } from '../../protocol/ledger.js'
import type { Metadata } from '../../protocol/ports.js'
import { FLEET, type RecoveryRecord } from '../../protocol/records.js'
import { isEndorsed } from '../../protocol/recovery/key.js'
import type { Escrow } from '../recovery/escrow.js'

export interface RecoveryOptions {
  metadata: Pick<Metadata, 'access' | 'accessAll'>
  ledger: Pick<Ledger, 'commit'>
  escrow: Pick<Escrow, 'refresh'>
  /** Of the log, 32 raw bytes. */
  logKey: Uint8Array
  nowMs: () => number
}

const PATH = `${API}/recovery-key` as const
const half = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/)
  .meta({ description: 'base64url of 32 bytes' })

export function recoveryEndpoints({ metadata, ledger, escrow, logKey, nowMs }: RecoveryOptions): Endpoint[] {
  return [
    endpoint({
      name: 'recovery.get',
      method: 'GET',
      path: PATH,
      summary: 'The public halves of the recovery key, and what is sealed to it',
      access: 'auditor',
      reply: z
        .object({
          signing: half,
          sealing: half,
          created_at: time,
          sealed: z.int().meta({ description: 'How many parcels nodes keep for the operator' }),
          sealed_at: time.nullable().meta({ description: 'When the newest of them was sealed' }),
        })
        .meta({ id: 'RecoveryKey' }),
      handle: async () => {
        const record = metadata.access('recovery', 'key')
        if (!record) throw new RegistryError('missing', 'There is no recovery key: make one with cairn recovery create')
        const times = metadata.accessAll('escrow').map(({ at }) => at)
        const { signing, sealing, createdAt } = record
        return { signing, sealing, created_at: createdAt, sealed: times.length, sealed_at: times.sort().at(-1) ?? null }
      },
    }),
    endpoint({
      name: 'recovery.set',
      method: 'PUT',
      path: PATH,
      summary: 'Names the recovery key, or another one that the one before endorses',
      access: 'administrator',
      body: z.strictObject({
        signing: half,
        sealing: half,
        endorsement: z
          .string()
          .regex(/^[A-Za-z0-9_-]{86}$/)
          .optional()
          .meta({ description: 'Signature of the key before over both, base64url' }),
      }),
      reply: 'empty',
      handle: async ({ body: { signing, sealing, endorsement }, principal }) => {
        const before = metadata.access('recovery', 'key')
        const record: RecoveryRecord = {
          id: 'key',
          signing,
          sealing,
          ...(endorsement === undefined ? {} : { endorsement }),
          createdAt: new Date(nowMs()).toISOString(),
        }
        if (before && !isEndorsed(record, before.signing, logKey))
          throw new RegistryError(
            'conflict',
            'There is a recovery key, and nodes follow no other that it did not endorse: give its file with --old-key-file',
            { code: 'recovery_key_exists' },
          )
        const steps = [{ kind: 'access', subject: 'recovery', id: 'key', record } as const]
        await ledger.commit({ scope: FLEET, steps, by: principal.name })
        await escrow.refresh()
      },
    }),
  ]
}
