/**
 * Fetches bytes before anybody asks, by the sync policies that the primary gives: `eager` as soon as a change arrives, `scheduled`
 * within a daily window (UTC), `on_demand` never; what a policy pins is not evicted, whoever fetched it. One blob after another, so that clients' own reads come first.
 */
import { matches, matchesAny } from '../protocol/glob.js'
import type { Blobs, Metadata } from '../protocol/ports.js'
import type { Change, Digest, File, Held, RepositoryRecord } from '../protocol/records.js'
import type { Policy } from './beat.js'

export interface PrefetchOptions {
  metadata: Metadata
  blobs: Blobs
  /** May a blob of the scope be had, by its rules. Default: all may. */
  passes?: (scope: string, digest: Digest) => Promise<boolean>
  /** Counted by the taker; a blob need not be there yet. */
  pins?: { pin(digest: Digest): void; unpin(digest: Digest): void }
  now: () => Date
  onError: (error: unknown) => void
}

interface Wanted {
  file: Held
  scope: string
}

const MAX_QUEUED = 100_000
const MAX_PINS = 1_000_000
const PAGE = 500

export class Prefetch {
  readonly #options: PrefetchOptions
  readonly #queue: Wanted[] = []
  readonly #pinned = new Set<Digest>()
  #policies: Policy[] = []
  #running: Promise<void> | undefined
  #requested = ''
  #lastWindow = ''
  #closed = false

  constructor(options: PrefetchOptions) {
    this.#options = options
  }

  /** `requestedAt`: when an administrator last asked for a whole run. */
  async learn(policies: Policy[], requestedAt: string | undefined): Promise<void> {
    const changed = JSON.stringify(policies) !== JSON.stringify(this.#policies)
    this.#policies = policies
    const asked = requestedAt !== undefined && requestedAt !== this.#requested
    this.#requested = requestedAt ?? this.#requested
    if (changed) this.#unpinAll()
    if (asked) await this.#sweep(() => true)
    else if (changed) await this.#sweep((policy) => policy.mode === 'eager')
    const window = this.#window()
    if (window !== undefined && window !== this.#lastWindow) await this.#sweep((policy) => this.#open(policy))
    this.#lastWindow = window ?? ''
  }

  /** A change that was applied. */
  note(change: Change): void {
    if (change.kind !== 'publish' && change.kind !== 'add' && change.kind !== 'hold') return
    const repository = this.#options.metadata.scope(change.scope)
    const policy = repository && this.#policy(repository)
    if (!repository || !policy) return
    const fetches = policy.mode === 'eager' || this.#open(policy)
    for (const file of filesOf(change)) {
      if ('offered' in file || !wants(policy, file.path)) continue
      if (policy.pin) this.#pin(file.digest)
      if (fetches) this.#add({ file, scope: change.scope })
    }
  }

  /** Blobs that are still to be fetched. */
  get waiting(): number {
    return this.#queue.length
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#queue.length = 0
    await this.#running
  }

  /** Pins what policies pin, and queues what those name that are fetched now. */
  async #sweep(which: (policy: Policy) => boolean): Promise<void> {
    for (const repository of this.#options.metadata.repositories()) {
      const policy = this.#policy(repository)
      const fetches = policy !== undefined && policy.mode !== 'on_demand' && which(policy)
      if (repository.type === 'virtual' || !policy || !(fetches || policy.pin)) continue
      for (let after = ''; ; ) {
        const files = await this.#options.metadata.files(repository.scope, {
          limit: PAGE,
          ...(after === '' ? {} : { after }),
        })
        for (const file of files) this.#swept(policy, { file, scope: repository.scope }, fetches)
        after = files.at(-1)?.path ?? ''
        if (files.length < PAGE) break
      }
    }
  }

  #swept(policy: Policy, wanted: Wanted, fetches: boolean): void {
    if (!wants(policy, wanted.file.path)) return
    if (policy.pin) this.#pin(wanted.file.digest)
    if (fetches) this.#add(wanted)
  }

  /** Until the policies change or the node starts again: a version that is removed meanwhile stays until then. */
  #pin(digest: Digest): void {
    if (this.#pinned.has(digest) || this.#pinned.size >= MAX_PINS) return
    this.#pinned.add(digest)
    this.#options.pins?.pin(digest)
  }

  #unpinAll(): void {
    for (const digest of this.#pinned) this.#options.pins?.unpin(digest)
    this.#pinned.clear()
  }

  #policy(repository: RepositoryRecord): Policy | undefined {
    return this.#policies.find((policy) => matches(policy.repository, repository.key))
  }

  #open(policy: Policy): boolean {
    if (policy.mode !== 'scheduled') return false
    const match = /^(\d\d:\d\d)-(\d\d:\d\d)$/.exec(policy.window ?? '')
    if (!match) return false
    const [, from = '', to = ''] = match
    const time = this.#options.now().toISOString().slice(11, 16)
    return from <= to ? time >= from && time < to : time >= from || time < to
  }

  /** Names the window that is open now, so that its beginning is noticed once. */
  #window(): string | undefined {
    const open = this.#policies.filter((policy) => this.#open(policy))
    return open.length > 0 ? JSON.stringify(open) : undefined
  }

  #add(wanted: Wanted): void {
    if (this.#closed || this.#queue.length >= MAX_QUEUED) return
    this.#queue.push(wanted)
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      try {
        if (await this.#options.blobs.has(next.file.digest)) continue
        if ((await this.#options.passes?.(next.scope, next.file.digest)) === false) continue
        const bytes = await this.#options.blobs.open(next.file, next.scope)
        // Reading it is what brings it into the cache.
        for await (const _ of bytes.read()) if (this.#closed) break
      } catch (error) {
        this.#options.onError(error)
      }
    }
    this.#running = undefined
  }
}

function filesOf(change: Change & { kind: 'publish' | 'add' | 'hold' }): File[] {
  if (change.kind === 'hold') return [change.file]
  return change.kind === 'publish' ? change.manifest.files : change.files
}

function wants(policy: Policy, path: string): boolean {
  return (policy.include.length === 0 || matchesAny(policy.include, path)) && !matchesAny(policy.exclude, path)
}
