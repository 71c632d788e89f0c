/**
 * Brings what waits back to the primary: of each entry the bytes first, then the names, in the order in which they were taken. An
 * answer that was lost does no harm, since the primary knows what it has. What it refuses stops its lease until an operator helps.
 */
import { RegistryError } from '../../protocol/errors.js'
import { Periodic } from '../../protocol/periodic.js'
import type { Blobs, Bytes } from '../../protocol/ports.js'
import type { Digest, Position } from '../../protocol/records.js'
import { type Link, limited, refusal } from '../link/link.js'
import type { Leasing } from './leasing.js'
import type { Entry, Pending } from './pending.js'

export interface ReturningOptions {
  pending: Pending
  leasing: Leasing
  link: Pick<Link, 'reachable' | 'request' | 'json'>
  bytes: Pick<Blobs, 'open'>
  reached: (position: Position, timeoutMs: number) => Promise<boolean>
  /** Takes bytes that the fleet has by now among those that it may fetch again. */
  keep: (bytes: Bytes) => Promise<unknown>
  onAlarm: (sentence: string) => void
  onError: (error: unknown) => void
}

const EVERY_MS = 1000
const SWEEP_MS = 3_600_000
const APPLIED_MS = 10_000
const REPLY_BYTES = 65_536
/** Longer than any upload lasts between its bytes and its names. */
const GRACE_MS = 86_400_000

export class Returning {
  readonly #options: ReturningOptions
  readonly #periodic: Periodic
  readonly #sweeping: Periodic
  readonly #stop = new AbortController()
  /** Why the primary takes nothing more of a lease. */
  readonly #refused = new Map<string, string>()

  constructor(options: ReturningOptions) {
    this.#options = options
    const { pending, onError } = options
    this.#periodic = new Periodic(() => this.run(), EVERY_MS, onError)
    this.#sweeping = new Periodic(() => pending.sweep(Date.now() - GRACE_MS), SWEEP_MS, onError)
  }

  start(): void {
    this.#periodic.start()
    this.#sweeping.start()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#periodic.close()
    await this.#sweeping.close()
  }

  /** By lease, what the primary said. */
  get refused(): ReadonlyMap<string, string> {
    return this.#refused
  }

  async run(): Promise<void> {
    const { pending, leasing, link } = this.#options
    if (!link.reachable) return
    const held = new Set<string>()
    for (const entry of [...pending.entries]) {
      if (held.has(entry.lease)) continue
      if (!(await this.#bring(entry))) held.add(entry.lease)
    }
    for (const { id } of await leasing.ended())
      await link.json('POST', `/fleet/v1/leases/${id}/close`, {}, this.#stop.signal)
  }

  /** False: what comes after it has to wait. */
  async #bring(entry: Entry): Promise<boolean> {
    const { link, reached, bytes, keep } = this.#options
    try {
      const files = new Map(entry.files.map((file) => [file.digest, file]))
      for (const file of files.values()) await this.#send(file.digest, entry, await bytes.open(file, entry.scope))
      const { lease, scope: _, files: __, ...taken } = entry
      const position = await link.json('POST', `/fleet/v1/leases/${lease}/entries`, taken, this.#stop.signal)
      this.#refused.delete(lease)
      if (!(await reached(position as Position, APPLIED_MS))) return false
      for (const file of files.values()) await keep(await bytes.open(file, entry.scope))
      return true
    } catch (error) {
      if (!(error instanceof RegistryError) || error.kind === 'unavailable') throw error
      this.#note(entry.lease, error.message)
      return false
    }
  }

  async #send(digest: Digest, { lease }: Entry, bytes: Bytes): Promise<void> {
    const { signal } = this.#stop
    const path = `/fleet/v1/leases/${lease}/blobs/${digest}`
    const reply = await this.#options.link.request('PUT', path, { body: bytes.read(undefined, signal), signal })
    const text = await limited(reply.body, REPLY_BYTES)
    if (reply.status >= 400) throw refusal(reply, text)
  }

  #note(lease: string, sentence: string): void {
    if (this.#refused.get(lease) !== sentence)
      this.#options.onAlarm(`What waits under lease ${lease} is not taken by the primary: ${sentence}`)
    this.#refused.set(lease, sentence)
  }
}
