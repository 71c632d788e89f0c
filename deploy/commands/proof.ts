/**
 * What `cairn verify` says beyond a digest: that the primary published these bytes, proved by its signed log. A proof that was
 * saved is checked without any network:
 *
 *     { "path": "a/b.bin", "checkpoint": …, "file": {…}, "repository": {…} }
 */
import { readFile, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { RegistryError } from '../../protocol/errors.js'
import { parseVerifierKey } from '../../protocol/log/checkpoint.js'
import { type Proved, proofShape, verifyProof } from '../../protocol/log/proof.js'
import { type Client, record } from '../client.js'
import type { Terminal } from '../terminal.js'

export interface ProofFlags {
  logKey?: string
  saveProof?: string
  proof?: string
}

const savedShape = proofShape.extend({ path: z.string().max(4096) })

/** undefined: the registry has no proof, and nobody insisted on one. Throws `corrupt` for one that proves something else. */
export async function prove(
  client: Client,
  { key, path, digest }: { key: string; path: string; digest: string },
  { logKey, saveProof }: ProofFlags,
  terminal: Terminal,
): Promise<Proved | undefined> {
  const address = `/api/v1/repositories/${encodeURIComponent(key)}/proof/${path.split('/').map(encodeURIComponent).join('/')}`
  const insists = logKey !== undefined || saveProof !== undefined
  const answer = await client.json('GET', address).catch((error: unknown) => {
    const none = error instanceof RegistryError && ['missing', 'unavailable'].includes(error.kind)
    if (insists || !none) throw error
    return undefined
  })
  if (answer === undefined) return undefined
  const saved = parse({ ...record(answer), path })
  const trusted = logKey ?? String(record(await client.json('GET', '/api/v1/log')).key)
  const proved = check(saved, trusted, digest)
  if (saveProof !== undefined) await writeFile(resolve(terminal.folder, saveProof), `${JSON.stringify(saved)}\n`)
  return proved
}

/** Of a proof in a file; needs no registry. */
export async function proveSaved(
  digest: string,
  { proof = '', logKey }: ProofFlags,
  terminal: Terminal,
): Promise<Proved> {
  if (logKey === undefined)
    throw new RegistryError(
      'invalid',
      'Say whose log to believe: --log-key, as GET /api/v1/log of your registry tells it',
      {
        code: 'usage',
      },
    )
  const text = await readFile(resolve(terminal.folder, proof), 'utf8').catch((cause: unknown) => {
    throw new RegistryError('missing', `${proof} cannot be read`, { cause })
  })
  return check(parse(json(text)), logKey, digest)
}

export function provedText({ repository, path, at, by, checkpoint }: Proved): string {
  return `Published as ${repository}/${path} at ${at} by ${by}: change of a log of ${checkpoint.number}, signed ${checkpoint.time}`
}

function check(saved: z.infer<typeof savedShape>, logKey: string, digest: string): Proved {
  const { fleet, publicKey } = parseVerifierKey(logKey)
  const proved = verifyProof(saved, saved.path, fleet, publicKey)
  if (proved.digest === digest) return proved
  throw new RegistryError('corrupt', `The proof is about other bytes (sha256 ${proved.digest})`, {
    code: 'proof_invalid',
  })
}

function parse(value: unknown): z.infer<typeof savedShape> {
  const parsed = savedShape.safeParse(value)
  if (parsed.success) return parsed.data
  throw new RegistryError('invalid', 'This is not a proof', { code: 'proof_invalid' })
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
