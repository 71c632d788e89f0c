/** Proofs that a file was published, and the key and checkpoint that they lead to. The primary and every node answer alike. */
import { z } from 'zod'
import type { Gate } from '../access/gate.js'
import { RegistryError } from '../errors.js'
import { proofShape } from '../log/proof.js'
import type { Prover } from '../log/prover.js'
import type { Metadata, Principal } from '../ports.js'
import type { RepositoryRecord } from '../records.js'
import { type Endpoint, endpoint } from './endpoint.js'
import { API } from './reads.js'

export interface Proofs {
  metadata: Metadata
  gate: Gate
  prover: Prover
}

export function proofEndpoints({ metadata, gate, prover }: Proofs): Endpoint[] {
  return [
    endpoint({
      name: 'log.get',
      method: 'GET',
      path: `${API}/log`,
      summary: "The log's key and newest signed checkpoint",
      access: 'anyone',
      reply: z.object({ fleet: z.string(), key: z.string(), checkpoint: z.string() }),
      handle: () => prover.believed(),
    }),
    endpoint({
      name: 'log.consistency',
      method: 'GET',
      path: `${API}/log/consistency`,
      summary: 'That a log of this length is how the one of the newest checkpoint begins (RFC 9162, section 2.1.4)',
      access: 'anyone',
      query: z.object({ from: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) }),
      reply: z.object({ checkpoint: z.string(), proof: z.base64().meta({ description: 'Hashes of 32 bytes' }) }),
      handle: ({ query }) => prover.consistency(query.from),
    }),
    endpoint({
      name: 'proofs.get',
      method: 'GET',
      path: `${API}/repositories/{key}/proof/{path*}`,
      summary: 'That the primary published this file: its change, and the way from there to a signed checkpoint',
      access: { repository: 'read' },
      reply: proofShape,
      handle: async ({ repository, principal, params: { path } }) => {
        const scope = await holder(metadata, members(metadata, gate, principal, repository, path), path)
        if (scope === undefined)
          throw new RegistryError('missing', `${repository.key} has no file ${path}`, { code: 'artifact_missing' })
        const proof = await prover.prove(scope, path)
        if (proof) return proof
        throw new RegistryError('unavailable', `The change that recorded ${path} is not held here`, {
          code: 'proof_not_held',
        })
      },
    }),
  ]
}

/** The repository; of a virtual one its members, in order, as far as the principal may read the path there. */
function members(
  metadata: Metadata,
  gate: Gate,
  principal: Principal,
  record: RepositoryRecord,
  path: string,
): RepositoryRecord[] {
  if (record.type !== 'virtual') return [record]
  return record.members.flatMap((key) => {
    const member = metadata.repository(key)
    if (!member || !gate.decide(principal, 'read', member, path).allowed) return []
    return members(metadata, gate, principal, member, path)
  })
}

async function holder(metadata: Metadata, records: RepositoryRecord[], path: string): Promise<string | undefined> {
  for (const { scope } of records) if (await metadata.file(scope, path)) return scope
  return undefined
}
