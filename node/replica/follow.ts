/**
 * Keeps the replica at the head of the log: listens to the primary's feed, passes on what it hears by gossip, takes what
 * gossip brings while the primary is away, and fetches what is missing from the primary or from any peer. It starts again by
 * itself after any fault.
 */

import { collect, once } from '../../protocol/chunks.js'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { decodeChange, type LogItem, leafOf } from '../../protocol/log/entry.js'
import { decodeFrames, encodeFrame } from '../../protocol/wire/feed.js'
import type { Link } from '../link/link.js'
import { catchUp } from './catch-up.js'
import type { RangeFetch } from './range-fetch.js'
import type { Replica, Verdict } from './replica.js'

/** A peer that holds at least what this node may see. */
export interface LogPeer {
  name: string
  /** Its newest checkpoint as frames, behind the beginnings of epochs; nothing when it has none. */
  note(signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Its missing tail as frames: what older versions tell. */
  tail(after: number, limit: number, signal: AbortSignal): AsyncIterable<Uint8Array>
}

export interface FollowOptions {
  replica: Replica
  link: Link
  gossip: { publish(bytes: Uint8Array): Promise<void> }
  /** Nearest first. */
  peers: () => LogPeer[]
  ranges: Pick<RangeFetch, 'fetch'>
  /** This node may see all there is: a peer that hides entries from it is not believed. */
  seesAll: () => boolean
  /** May a change of this scope be told to every member. */
  isPublic: (scope: string) => boolean
  /** What the feed says besides the log. */
  onNotice?: (notice: Record<string, unknown>) => void
  log: (sentence: string, error?: unknown) => void
}

const PAGE = 2000
const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 5_000
/** The feed says something every 5 s. */
const SILENCE_MS = 15_000
const GOSSIP_MAX_BYTES = 64 * 1024
const CATCH_UP_MS = 60_000
/** Peers who are asked how far they are, each time that the primary does not answer. */
const ASKED = 3
const NOTE_MS = 5_000
const MAX_NOTE_BYTES = 65_536

export class Follow {
  readonly #options: FollowOptions
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #catching: Promise<void> | undefined

  constructor(options: FollowOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#catching
  }

  /** A message from the mesh. Says whether it may travel on. */
  async hear(bytes: Uint8Array): Promise<'accept' | 'ignore' | 'reject'> {
    try {
      const { items, note, beginnings } = await readBatch(once(bytes))
      // Leaves that were left out tell nothing about whether this node may see them: it asks a source that knows.
      const whole = items.every((item) => 'body' in item)
      const verdict = await this.#options.replica.receive(whole ? items : [], note, false, beginnings)
      if (verdict === 'behind') this.catchUp()
      return verdict === 'known' ? 'ignore' : 'accept'
    } catch (error) {
      this.#options.log('A gossip message was refused', error)
      return 'reject'
    }
  }

  /** Fetches what is missing, once at a time. */
  catchUp(): void {
    this.#catching ??= this.#catchUp().finally(() => {
      this.#catching = undefined
    })
  }

  /** What this node may see has changed: the primary, who decided that, tells the whole log again. Throws when it cannot. */
  async seeAnew(): Promise<void> {
    const { replica, link } = this.#options
    const end = replica.head.number
    for (let after = 0; after < end; ) {
      const reply = await link.request('GET', `/fleet/v1/log?after=${after}&limit=${PAGE}`, {
        signal: this.#stop.signal,
      })
      if (reply.status !== 200) {
        await reply.body.dump()
        throw new RegistryError('unavailable', `The primary refused its log with ${reply.status}`)
      }
      const { items } = await readBatch(reply.body)
      await replica.exchange(items)
      after = items.at(-1)?.number ?? end
    }
    await replica.reinterpret()
  }

  async #run(): Promise<void> {
    let wait = RETRY_MIN_MS
    while (!this.#stop.signal.aborted) {
      const begun = Date.now()
      try {
        await this.#listen()
      } catch (error) {
        if (!this.#stop.signal.aborted && this.#options.link.reachable) this.#options.log('The feed ended', error)
        this.#options.link.mark(false)
      }
      if (Date.now() - begun > RETRY_MAX_MS) wait = RETRY_MIN_MS
      if (!this.#stop.signal.aborted) await this.#askPeers()
      if (!this.#options.replica.current && !this.#options.replica.contradiction) this.catchUp()
      await pause(wait * (0.5 + Math.random()), this.#stop.signal)
      wait = Math.min(wait * 2, RETRY_MAX_MS)
    }
  }

  async #listen(): Promise<void> {
    const reply = await this.#options.link.request('GET', '/fleet/v1/feed', {
      signal: this.#stop.signal,
      idleMs: SILENCE_MS,
    })
    if (reply.status !== 200) {
      await reply.body.dump()
      throw new RegistryError('unavailable', `The primary refused the feed with ${reply.status}`)
    }
    let items: LogItem[] = []
    let beginnings: string[] = []
    for await (const frame of decodeFrames(reply.body)) {
      this.#options.link.mark(true)
      if (frame.type === 'item') items.push(frame.item)
      if (frame.type === 'beginning') beginnings.push(frame.note)
      if (frame.type === 'notice') this.#options.onNotice?.(frame.notice)
      if (frame.type !== 'checkpoint') continue
      const batch = { items, note: frame.note, beginnings }
      items = []
      beginnings = []
      await this.#take(batch)
    }
  }

  async #take({ items, note, beginnings }: ReadBatch): Promise<void> {
    const { replica } = this.#options
    // The primary is there, even if nothing that it signs is believed until the operator begins an epoch.
    if (replica.contradiction && beginnings.length === 0) return
    const verdict = await replica.receive(items, note, true, beginnings)
    if (verdict === 'behind') {
      await this.#catchUp()
      await replica.receive([], note, true)
    }
    if (verdict === 'applied') await this.#tell(items, note)
  }

  /** The same bytes at every node that heard the feed, so that gossip knows them as one message. */
  async #tell(items: LogItem[], note: string): Promise<void> {
    const { isPublic, gossip, log, replica } = this.#options
    const begun = replica.beginnings.map((beginning) => encodeFrame({ type: 'beginning', note: beginning }))
    const frames = items.map((item) => encodeFrame({ type: 'item', item: outward(item, isPublic) }))
    const size = frames.reduce((sum, frame) => sum + frame.length, 0)
    const checkpoint = Buffer.concat([...begun, encodeFrame({ type: 'checkpoint', note })])
    await gossip
      .publish(size <= GOSSIP_MAX_BYTES ? Buffer.concat([...frames, checkpoint]) : checkpoint)
      .catch((error: unknown) => log('Gossip could not be sent', error))
  }

  /** While the primary is away: how far are the others. */
  async #askPeers(): Promise<void> {
    const { peers, log } = this.#options
    const asked = peers()
      .sort(() => Math.random() - 0.5)
      .slice(0, ASKED)
    const ask = async ({ name, note }: LogPeer): Promise<void> => {
      try {
        const signal = deadline(NOTE_MS, this.#stop.signal)
        const frames = await collect(note(signal), MAX_NOTE_BYTES)
        if (frames.length > 0) await this.#receive(once(frames))
      } catch (error) {
        if (!isOlder(error)) log(`The newest checkpoint of peer ${name} was not taken`, error)
      }
    }
    await Promise.all(asked.map(ask))
  }

  async #catchUp(): Promise<void> {
    const { replica, log } = this.#options
    try {
      while (!this.#stop.signal.aborted && !replica.current)
        if (!(await catchUp(replica, this.#options.ranges, this.#stop.signal))) break
    } catch (error) {
      if (!this.#stop.signal.aborted) log('The log could not be fetched in parts', error)
    }
    if (!replica.current) await this.#fetchTail()
  }

  /** As older versions tell it. */
  async #fetchTail(): Promise<void> {
    const signal = deadline(CATCH_UP_MS, this.#stop.signal)
    while (!signal.aborted) {
      const verdict = await this.#page(signal)
      if (verdict !== 'applied') return
    }
  }

  async #page(signal: AbortSignal): Promise<Verdict | undefined> {
    const { replica, link, peers, log, seesAll } = this.#options
    const after = replica.head.number
    try {
      const reply = await link.request('GET', `/fleet/v1/log?after=${after}&limit=${PAGE}`, { signal })
      if (reply.status === 200) return await this.#receive(reply.body)
      await reply.body.dump()
    } catch (error) {
      log('The log could not be fetched from the primary', error)
    }
    for (const { name, tail } of peers()) {
      try {
        const verdict = await this.#receive(tail(after, PAGE, signal), seesAll())
        if (verdict === 'applied') return verdict
      } catch (error) {
        log(`The log could not be fetched from peer ${name}`, error)
      }
    }
    return undefined
  }

  async #receive(bytes: AsyncIterable<Uint8Array>, isWhole = false): Promise<Verdict> {
    const { items, note, beginnings } = await readBatch(bytes)
    if (isWhole && items.some((item) => 'leaf' in item))
      throw new RegistryError('missing', 'Entries are hidden that this node may see')
    return this.#options.replica.receive(items, note, false, beginnings)
  }
}

interface ReadBatch {
  items: LogItem[]
  note: string
  /** Of epochs. */
  beginnings: string[]
}

async function readBatch(bytes: AsyncIterable<Uint8Array>): Promise<ReadBatch> {
  const items: LogItem[] = []
  const beginnings: string[] = []
  for await (const frame of decodeFrames(bytes)) {
    if (frame.type === 'item') items.push(frame.item)
    if (frame.type === 'beginning') beginnings.push(frame.note)
    if (frame.type === 'checkpoint') return { items, note: frame.note, beginnings }
  }
  throw new RegistryError('invalid', 'A part of the log without a checkpoint')
}

function outward(item: LogItem, isPublic: (scope: string) => boolean): LogItem {
  if ('leaf' in item) return item
  return isPublic(decodeChange(item.body).scope) ? item : { number: item.number, leaf: leafOf(item) }
}

function isOlder(error: unknown): boolean {
  return error instanceof RegistryError && error.kind === 'unsupported'
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
  })
}
