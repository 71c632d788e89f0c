/**
 * Which member a request comes from: its signature is checked against the key that the member's record names, or, for an ephemeral
 * node, against the key in the certificate that it brings along. The record decides either way: when it is revoked, all of it ends.
 */
import { type Certificate, verify } from '../../protocol/certificate.js'
import { RegistryError } from '../../protocol/errors.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { publicKeyObject } from '../../protocol/log/checkpoint.js'
import type { Metadata } from '../../protocol/ports.js'
import type { NodeRecord } from '../../protocol/records.js'
import { NODE_HEADER, verifyNodeIdentity } from '../../protocol/wire/identity.js'

export interface MembershipOptions {
  fleet: string
  /** 32 raw bytes. */
  logKey: Uint8Array
  metadata: Pick<Metadata, 'access'>
  nowMs: () => number
}

interface Checked {
  id: string
  /** Of an ephemeral node. */
  certificate: Certificate | undefined
  untilMs: number
}

const REMEMBERED = 10_000
const REMEMBERED_MS = 60_000

export class Membership {
  readonly #options: MembershipOptions
  /** Signatures that were checked lately, by their text. */
  readonly #checked = new Map<string, Checked>()

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** The member that signed the request. Throws `unauthenticated`. */
  async member(request: HttpRequest): Promise<NodeRecord> {
    const text = request.headers.get(NODE_HEADER) ?? ''
    const { id, certificate } = this.#known(text) ?? (await this.#check(text))
    const record = this.#active(id)
    if (!record)
      throw new RegistryError('unauthenticated', 'This node was removed from the fleet', { code: 'node_revoked' })
    return certificate ? ephemeral(record, { peer: certificate.peer, publicKey: certificate.key ?? '' }) : record
  }

  #known(text: string): Checked | undefined {
    const known = this.#checked.get(text)
    return known && known.untilMs > this.#options.nowMs() ? known : undefined
  }

  async #check(text: string): Promise<Checked> {
    const { fleet, nowMs } = this.#options
    let certificate: Certificate | undefined
    const id = await verifyNodeIdentity(text, fleet, nowMs(), async (node, brought) => {
      const record = this.#active(node)
      if (record?.ephemeral) certificate = await this.#certificate(node, brought)
      const key = record?.ephemeral ? certificate?.key : record?.publicKey
      return key === undefined ? undefined : Buffer.from(key, 'base64url')
    })
    const checked = { id, certificate, untilMs: nowMs() + REMEMBERED_MS }
    if (this.#checked.size > REMEMBERED) this.#checked.clear()
    this.#checked.set(text, checked)
    return checked
  }

  async #certificate(node: string, brought = ''): Promise<Certificate | undefined> {
    const { fleet, logKey, nowMs } = this.#options
    const certificate = await verify(brought, { fleet, keys: [publicKeyObject(logKey)] }, new Date(nowMs()))
    return certificate.sub === node ? certificate : undefined
  }

  #active(id: string): NodeRecord | undefined {
    const record = this.#options.metadata.access('node', id)
    return record && !record.revoked ? record : undefined
  }
}

/** A join key's record as that of one node that used it. */
export function ephemeral(record: NodeRecord, node: Pick<NodeRecord, 'peer' | 'publicKey'>): NodeRecord {
  return { ...record, ...node }
}
