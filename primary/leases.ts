/**
 * Leases as operators make and end them. A lease's names stay closed here until its node has reported, or an operator gives up, with
 * a reason that is kept, what the node may still hold: only after its end, since until then the node may take more.
 */
import { randomUUID } from 'node:crypto'
import { RegistryError } from '../protocol/errors.js'
import type { Grammar } from '../protocol/format.js'
import { matchesAny } from '../protocol/glob.js'
import { DRIFT_MS } from '../protocol/lease.js'
import type { Ledger } from '../protocol/ledger.js'
import type { Metadata } from '../protocol/ports.js'
import { FLEET, type LeaseRecord, type RepositoryRecord } from '../protocol/records.js'
import type { Turn } from './accounts/turn.js'

export interface LeaseDraft {
  /** Key. */
  repository: string
  /** Id or name. */
  node: string
  /** Prefixes of package names, each with a "*" at its end. */
  names: string[]
  days: number
}

export interface LeasesOptions {
  metadata: Pick<Metadata, 'access' | 'accessAll' | 'repository' | 'scope'>
  ledger: Pick<Ledger, 'commit'>
  /** How names of a format are spelled. */
  grammar: (format: string) => Grammar | undefined
  turn: Turn
  nowMs: () => number
}

const DAY_MS = 86_400_000

export class Leases {
  readonly #options: LeasesOptions

  constructor(options: LeasesOptions) {
    this.#options = options
  }

  list(): LeaseRecord[] {
    return this.#options.metadata.accessAll('lease')
  }

  /** Throws `missing`. */
  get(id: string): LeaseRecord {
    const lease = this.#options.metadata.access('lease', id)
    if (!lease) throw new RegistryError('missing', `There is no lease ${id}`)
    return lease
  }

  /** Throws `conflict` when another lease has some of the names. */
  create({ repository, node, names, days }: LeaseDraft, by: string): Promise<LeaseRecord> {
    return this.#options.turn.run(async () => {
      const nowMs = this.#options.nowMs()
      const record = this.#repository(repository)
      const until = new Date(nowMs + days * DAY_MS).toISOString()
      return this.#write(
        {
          id: randomUUID(),
          node: this.#node(node, repository),
          scope: record.scope,
          prefixes: names.map((name) => this.#prefix(name, record)),
          createdAt: new Date(nowMs).toISOString(),
          until,
          promised: until,
        },
        by,
      )
    })
  }

  /** `days` from now. Throws `conflict` when that is earlier than it is now, or when it has ended. */
  renew(id: string, days: number, by: string): Promise<LeaseRecord> {
    return this.#options.turn.run(async () => {
      const lease = this.#open(id)
      const nowMs = this.#options.nowMs()
      const until = new Date(nowMs + days * DAY_MS).toISOString()
      if (Date.parse(lease.until) <= nowMs) throw new RegistryError('conflict', 'The lease has ended; make another one')
      if (until < lease.until) throw new RegistryError('conflict', `The lease lasts until ${lease.until} already`)
      return this.#write({ ...lease, until, promised: until }, by)
    })
  }

  /** The node takes nothing more from when it hears of it; the names open once it has reported. */
  end(id: string, by: string): Promise<LeaseRecord> {
    return this.#options.turn.run(async () => {
      const lease = this.#open(id)
      const now = new Date(this.#options.nowMs()).toISOString()
      return now < lease.until ? this.#write({ ...lease, until: now }, by) : lease
    })
  }

  /**
   * Gives up what waits at the node under names that begin with `prefix`. `''` is all of it, and closes the lease: refused with
   * `conflict` while the node may still take more, having heard of no end, unless it was removed from the fleet.
   */
  void(id: string, { prefix, reason }: { prefix: string; reason: string }, by: string): Promise<LeaseRecord> {
    return this.#options.turn.run(async () => {
      const lease = this.#open(id)
      const at = new Date(this.#options.nowMs()).toISOString()
      const voided = [...(lease.voided ?? []), { prefix, reason, at, by }]
      if (prefix !== '') return this.#write({ ...lease, voided }, by)
      const { node, promised } = lease
      if (at < promised && !this.#isRemoved(node))
        throw new RegistryError(
          'conflict',
          `Until ${promised} the node may take more: remove the node from the fleet if it is lost, or wait`,
          { code: 'lease_open' },
        )
      return this.#write({ ...lease, voided, closed: { at, by } }, by)
    })
  }

  /** The node says that it has stopped, and that nothing waits there. */
  close(id: string, node: string): Promise<LeaseRecord> {
    return this.#options.turn.run(async () => {
      const lease = this.get(id)
      if (lease.node !== node) throw new RegistryError('forbidden', 'That is the lease of another node')
      if (lease.closed) return lease
      const nowMs = this.#options.nowMs()
      if (nowMs < Date.parse(lease.until) - DRIFT_MS)
        throw new RegistryError('conflict', `The lease lasts until ${lease.until}`)
      return this.#write(
        { ...lease, closed: { at: new Date(nowMs).toISOString(), by: `node:${node}` } },
        `node:${node}`,
      )
    })
  }

  #open(id: string): LeaseRecord {
    const lease = this.get(id)
    if (lease.closed) throw new RegistryError('conflict', `The lease was closed at ${lease.closed.at}`)
    return lease
  }

  #isRemoved(node: string): boolean {
    return this.#options.metadata.access('node', node)?.revoked !== false
  }

  #repository(key: string): RepositoryRecord {
    const record = this.#options.metadata.repository(key)
    if (!record) throw new RegistryError('missing', `There is no repository ${key}`)
    if (record.type === 'local') return record
    throw new RegistryError('invalid', `${key} is a ${record.type} repository: nothing is published there`)
  }

  #node(named: string, repository: string): string {
    const nodes = this.#options.metadata.accessAll('node').filter(({ revoked }) => !revoked)
    const node = nodes.find(({ id }) => id === named) ?? nodes.find(({ name }) => name === named)
    if (!node) throw new RegistryError('missing', `There is no node ${named}`)
    if (node.ephemeral) throw new RegistryError('invalid', 'An ephemeral node keeps nothing, so it cannot have a lease')
    if (!matchesAny(node.repositories, repository))
      throw new RegistryError('invalid', `${node.name} does not hold ${repository}`)
    return node.id
  }

  #prefix(name: string, { format }: RepositoryRecord): string {
    const spelled = this.#options.grammar(format)?.name?.(name) ?? name
    if (spelled.indexOf('*') === spelled.length - 1) return spelled.slice(0, -1)
    throw new RegistryError('invalid', `${name} must end with its only "*": a lease is on what names begin with`)
  }

  async #write(record: LeaseRecord, by: string): Promise<LeaseRecord> {
    const { id } = record
    await this.#options.ledger.commit({
      scope: FLEET,
      steps: [{ kind: 'access', subject: 'lease', id, record }],
      by,
    })
    return record
  }
}
