/**
 * What a node took under its lease comes back: bytes first, then entries in order, each committed with its own time and author, once.
 * An author must still have the right: what was published by somebody who lost it meanwhile waits until an operator decides.
 *
 *     PUT  leases/{id}/blobs/{digest}  <bytes>
 *     POST leases/{id}/entries         {number, at, by, token, steps} -> the position of what is in the log
 *     POST leases/{id}/close           the node takes nothing more under it, and nothing waits
 */
import { z } from 'zod'
import type { Gate } from '../../protocol/access/gate.js'
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import { empty, json, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { Ledger } from '../../protocol/ledger.js'
import { Batch } from '../../protocol/metadata/batch.js'
import { filesOf } from '../../protocol/metadata/conditions.js'
import { touched } from '../../protocol/metadata/reduce.js'
import { type Rows, rowKey } from '../../protocol/metadata/rows.js'
import type { Blobs, Metadata, Principal } from '../../protocol/ports.js'
import type { LeaseRecord, NodeRecord, RepositoryRecord, Step, Stored } from '../../protocol/records.js'
import type { Leases } from '../leases.js'

export interface ReturningOptions {
  metadata: Metadata
  rows: Pick<Rows, 'get'>
  gate: Gate
  ledger: Pick<Ledger, 'commit'>
  leases: Leases
  blobs: Pick<Blobs, 'write'> & { leaves(stored: Stored): Promise<Uint8Array> }
  /** Bytes. */
  maxUploadBytes: number
  nowMs: () => number
}

/** Bytes: a change has at most half as many. */
const MAX_ENTRY_BYTES = 32 * 1024 * 1024

const text = z
  .string()
  .max(4096)
  .regex(/^\P{Cc}*$/u)
const held = z.object({
  path: text.min(1),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.int().nonnegative(),
  root: z.string().regex(/^[0-9a-f]{64}$/),
  hashes: z.object({ md5: text.optional(), sha1: text.optional(), sha512: text.optional() }),
})
const version = { package: text, version: text }
const step = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('publish'),
    manifest: z.object({ ...version, files: z.array(held), meta: z.string(), publishedAt: z.iso.datetime() }),
    tags: z.array(text).optional(),
  }),
  z.object({ kind: z.literal('add'), ...version, files: z.array(held) }),
  z.object({ kind: z.literal('amend'), package: text, version: text.nullable(), meta: z.string() }),
  z.object({ kind: z.literal('remove'), ...version }),
  z.object({ kind: z.literal('withdraw'), ...version, path: text }),
  z.object({ kind: z.literal('restore'), ...version }),
  z.object({ kind: z.literal('tag'), package: text, tag: text, version: text.nullable() }),
])
const entrySchema = z.object({
  number: z.int().positive(),
  at: z.iso.datetime(),
  by: text,
  token: z.object({ id: text, expiresAt: z.iso.datetime().optional() }).optional(),
  steps: z.array(step).min(1).max(1000),
})
type Entry = Omit<z.infer<typeof entrySchema>, 'steps'> & { steps: Step[] }

export class Returning {
  readonly #options: ReturningOptions

  constructor(options: ReturningOptions) {
    this.#options = options
  }

  /** `rest`: the path behind `leases/`. Throws `missing` for what is no such endpoint. */
  async handle(node: NodeRecord, [id = '', what = '', digest = '']: string[], request: HttpRequest): Promise<Reply> {
    const lease = this.#lease(node, id)
    switch (`${request.method} ${what}`) {
      case 'PUT blobs':
        return this.#receive(lease, digest, request)
      case 'POST entries':
        return json(await this.#take(lease, await entryOf(request)))
      case 'POST close':
        await this.#options.leases.close(id, node.id)
        return empty()
      default:
        throw new RegistryError('missing', 'There is no such fleet endpoint')
    }
  }

  #lease({ id: node }: NodeRecord, id: string): LeaseRecord {
    const lease = this.#options.leases.get(id)
    if (lease.node === node) return lease
    throw new RegistryError('forbidden', 'That is the lease of another node')
  }

  async #receive({ closed }: LeaseRecord, digest: string, { body, signal }: HttpRequest): Promise<Reply> {
    if (closed) throw new RegistryError('conflict', `The lease was closed at ${closed.at}`)
    const stored = await this.#options.blobs.write(body, { limit: this.#options.maxUploadBytes, signal })
    if (stored.digest === digest) return empty()
    throw new RegistryError('invalid', `What arrived is ${stored.digest}, not ${digest}`)
  }

  async #take({ id, scope }: LeaseRecord, { number, at, by, token, steps }: Entry) {
    const { metadata, rows, ledger, blobs } = this.#options
    const repository = metadata.scope(scope)
    if (!repository) throw new RegistryError('missing', 'The repository was deleted')
    await this.#refuseAuthor({ by, token, steps }, repository)
    // Bytes before names: each is here, as large and as rooted as its record says.
    for (const file of await filesOf(scope, steps, new Batch(rows))) await blobs.leaves(file)
    try {
      return await ledger.commit({ scope, steps, by, returned: { id, number, at } })
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'returned') return metadata.head
      throw error
    }
  }

  /** Throws `forbidden` unless the author could do it now. */
  async #refuseAuthor({ by, token, steps }: Pick<Entry, 'by' | 'token' | 'steps'>, repository: RepositoryRecord) {
    const principal = this.#principal(by, token)
    const may = async (one: Step) => {
      const action = one.kind === 'remove' || one.kind === 'withdraw' ? 'delete' : 'write'
      const allows = (path: string) =>
        principal !== undefined && this.#options.gate.decide(principal, action, repository, path).allowed
      const paths = await this.#pathsOf(one, repository)
      return allows(touched({ ...one, scope: '', at: '', by }) ?? '') || (paths.length > 0 && paths.every(allows))
    }
    const decided = await Promise.all(steps.map(may))
    // Where rights go by paths, the steps that name none go with those that do.
    const [refused] = steps.filter((one, i) => !decided[i] && !(isNote(one) && decided.includes(true)))
    if (!refused) return
    const name = touched({ ...refused, scope: '', at: '', by })
    throw new RegistryError(
      'forbidden',
      `${by} may not publish ${name} in ${repository.key} any more: give the right back, or void it (cairn lease void)`,
      { code: 'author_refused' },
    )
  }

  /** undefined: the user is no more, or the token was revoked. One that has expired since counts as it did. */
  #principal(by: string, token: Entry['token']): Principal | undefined {
    const { metadata, gate, nowMs } = this.#options
    if (by === gate.anonymous.name) return gate.anonymous
    const user = metadata.access('user', by)
    if (!user || user.disabled) return undefined
    const known = token && metadata.access('token', token.id)
    const isExpired = token?.expiresAt !== undefined && Date.parse(token.expiresAt) <= nowMs()
    return token && !known && !isExpired ? undefined : { name: by, user, token: known }
  }

  async #pathsOf(one: Step, { scope }: RepositoryRecord): Promise<string[]> {
    if (one.kind === 'withdraw') return [one.path]
    if (one.kind === 'publish') return one.manifest.files.map(({ path }) => path)
    if (one.kind === 'add') return one.files.map(({ path }) => path)
    if (one.kind !== 'remove' && one.kind !== 'restore') return []
    const row = await this.#options.rows.get(rowKey('version', scope, one.package, one.version))
    return (row?.files ?? []).map(({ path }) => path)
  }
}

function isNote({ kind }: Step): boolean {
  return kind === 'amend' || kind === 'tag'
}

async function entryOf(request: HttpRequest): Promise<Entry> {
  const tooLong = () => new RegistryError('too_large', 'The message is too large')
  const bytes = await collect(request.body, MAX_ENTRY_BYTES, tooLong)
  const parsed = entrySchema.safeParse(JSON.parse(bytes.toString('utf8')))
  if (parsed.success) return parsed.data as Entry
  throw new RegistryError('invalid', 'That is nothing that a node takes under a lease', { cause: parsed.error })
}
