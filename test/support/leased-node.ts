/** A primary in memory and a node with a lease, whose own disk is real; the link between them is a function call that can be cut. */
import assert from 'node:assert/strict'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { formats } from '../../formats/index.js'
import { ReceivedBlobs } from '../../node/lease/bytes.js'
import { Leasing } from '../../node/lease/leasing.js'
import { Pending } from '../../node/lease/pending.js'
import { Returning as Bringing } from '../../node/lease/returning.js'
import { Turn } from '../../primary/accounts/turn.js'
import { Returning as Taking } from '../../primary/fleet/returning.js'
import { Leases } from '../../primary/leases.js'
import { Gate } from '../../protocol/access/gate.js'
import { DiskBlobs } from '../../protocol/blobs/disk.js'
import { RegistryError } from '../../protocol/errors.js'
import { problem } from '../../protocol/http/status.js'
import { Hosted } from '../../protocol/kinds/hosted.js'
import { Batch } from '../../protocol/metadata/batch.js'
import { MemoryLedger, MemoryRows } from '../../protocol/metadata/memory.js'
import { State } from '../../protocol/metadata/state.js'
import type { Accounts, Blobs } from '../../protocol/ports.js'
import { FLEET, type NodeRecord, type Position, type RepositoryRecord, type Step } from '../../protocol/records.js'
import { Registry, type RegistryOptions, type Upward } from '../../protocol/registry.js'
import { repositoryRecord } from '../contracts/metadata.js'
import { access, clientOf, grant, type Send, user } from './memory-fleet.js'
import { packed, publishDocument } from './npm-package.js'
import { bodyOf, requestOf } from './request.js'

export const START = Date.parse('2026-01-01T00:00:00Z')
export const NODE: NodeRecord = {
  id: 'ship',
  name: 'ship',
  peer: 'peer',
  publicKey: '',
  repositories: ['*'],
  revoked: false,
  createdAt: '2026-01-01T00:00:00.000Z',
}

/** A primary in memory and a node that follows it by function calls, which can be cut; the node's own disk is real. */
export class World {
  readonly seen = new Map<string, Set<string>>()
  readonly alarms: string[] = []
  nowMs = START
  cutOff = false
  /** The node hears no changes. */
  deaf = false
  sound = true
  /** So many calls of the return are answered; of the next one the answer is lost, and of those behind it nothing arrives. */
  answersLeft = Number.POSITIVE_INFINITY
  readonly ledger: MemoryLedger
  readonly leases: Leases
  readonly taking: Taking
  readonly primary: Registry
  readonly #dir: string
  readonly #gate: Gate
  readonly #store: DiskBlobs
  #applied = 0
  #rows = new MemoryRows()
  pending!: Pending
  bringing!: Bringing
  #leasing!: Leasing
  #state!: State
  #node!: Registry

  private constructor(dir: string, ledger: MemoryLedger, store: DiskBlobs) {
    this.#dir = dir
    this.ledger = ledger
    this.#store = store
    const { state } = ledger
    const nowMs = () => this.nowMs
    this.#gate = gateOver(state)
    this.leases = new Leases({ metadata: state, ledger, grammar: () => undefined, turn: new Turn(), nowMs })
    const metadata = state
    this.taking = new Taking({
      metadata,
      rows: ledger.rows,
      gate: this.#gate,
      ledger,
      leases: this.leases,
      blobs: store,
      maxUploadBytes: 1e9,
      nowMs,
    })
    this.primary = registryOver(
      state,
      this.#gate,
      (record) => new Hosted(record, state, this.#hosted(record, store, ledger)),
    )
  }

  /** With the users `ann`, who may do everything, and `bob`, who may read. */
  static async open(folder: string): Promise<World> {
    const dir = await mkdtemp(join(folder, 'world-'))
    const at: { world?: World } = {}
    const ledger = await MemoryLedger.open(() => new Date(at.world?.nowMs ?? START).toISOString())
    const store = new DiskBlobs(join(dir, 'primary'))
    await store.start()
    const world = new World(dir, ledger, store)
    at.world = world
    await world.#start()
    await world.configure(access(user('ann')), access(user('bob')), grant('ann', '*'), {
      kind: 'access',
      subject: 'node',
      id: NODE.id,
      record: NODE,
    })
    await world.repository('files', 'generic')
    await world.repository('npm', 'npm')
    return world
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop()
    await this.#store.close()
  }

  async configure(...steps: Step[]): Promise<void> {
    await this.ledger.commit({ scope: FLEET, steps, by: 'root' })
    await this.sync()
  }

  repository(key: string, format: string): Promise<void> {
    return this.configure({ kind: 'repository', key, record: repositoryRecord(key, { format }) })
  }

  async lease(repository: string, names: string[], days = 30) {
    return this.configureLease(repository, names, NODE, days)
  }

  async configureLease(repository: string, names: string[], node: NodeRecord, days = 30) {
    await this.configure({ kind: 'access', subject: 'node', id: node.id, record: node })
    const made = await this.leases.create({ repository, node: node.id, names, days }, 'root')
    await this.sync()
    return made
  }

  /** What the primary has the node has, too. */
  async sync(): Promise<void> {
    if (this.cutOff || this.deaf) return
    const fresh = this.ledger.log.slice(this.#applied)
    this.#applied += fresh.length
    const batch = new Batch(this.#rows)
    for (const one of fresh) batch.accept(await batch.add([one]))
    this.#rows.write(batch.final)
    this.#state.note(fresh, this.ledger.state.head)
    await this.#leasing.settle()
  }

  async return(): Promise<void> {
    await this.bringing.run()
    await this.sync()
  }

  async restart(): Promise<void> {
    await this.#stop()
    await this.#start()
  }

  /** Changes one character of what the node keeps. */
  async spoil(key: string): Promise<void> {
    await this.#stop()
    const { Level } = await import('level')
    const db = new Level<string, string>(join(this.#dir, 'node', 'records'))
    const text = await db.get(key)
    await db.put(key, (text ?? '').replace('deck/a', 'deck/b'), { sync: true })
    await db.close()
  }

  put(path: string, body: string, who = 'ann', side: 'node' | 'primary' = 'node') {
    return this.#ask(side, 'PUT', `/repository/files/${path}`, who, body)
  }

  publish(name: string, version: string) {
    const manifest = { name, version }
    const body = JSON.stringify(publishDocument(manifest, { tarball: packed(manifest) }))
    return this.#ask('node', 'PUT', `/repository/npm/${name.replace('/', '%2f')}`, 'ann', body)
  }

  async get(path: string, side: 'node' | 'primary' = 'node', repository = 'files') {
    const reply = await this.#ask(side, 'GET', `/repository/${repository}/${path.replace('@ship/', '@ship%2f')}`, 'ann')
    if (reply.status === 200) this.seen.set(path, (this.seen.get(path) ?? new Set()).add(reply.text))
    return reply
  }

  /** A client of the node or the primary; URLs are absolute. */
  client(side: 'node' | 'primary'): Send {
    const send = clientOf((request) => (side === 'node' ? this.#node : this.primary).handle(request))
    return async (url, init) => {
      const reply = await send(url, init)
      if (side === 'primary') await this.sync()
      return reply
    }
  }

  async #ask(side: 'node' | 'primary', method: string, target: string, who: string, body?: string) {
    const registry = side === 'node' ? this.#node : this.primary
    const basic = who === '' ? {} : { authorization: `Basic ${Buffer.from(`${who}:x`).toString('base64')}` }
    const sent = { headers: { ...basic, ...(body?.startsWith('{') ? { 'content-type': 'application/json' } : {}) } }
    const request = requestOf(method, target, { ...sent, ...(body === undefined ? {} : { body }) })
    const reply = (await registry.handle(request)) ?? assert.fail(`nobody answers ${target}`)
    const text = (await bodyOf(reply)).toString()
    if (side === 'primary') await this.sync()
    return { status: reply.status, headers: reply.headers, text }
  }

  async #start(): Promise<void> {
    const pending = await Pending.open(join(this.#dir, 'node'))
    this.pending = pending
    this.#state = await State.open(pending.over(this.#rows), this.ledger.state.head)
    const state = this.#state
    const isHere = () => !this.cutOff
    const leasing = new Leasing({
      node: NODE.id,
      pending,
      state,
      nowMs: () => this.nowMs,
      sound: () => this.sound,
      reachable: isHere,
      holds: () => true,
      onAlarm: (sentence) => this.alarms.push(sentence),
    })
    this.#leasing = leasing
    await leasing.start()
    const bytes = new ReceivedBlobs(pending.disk, this.#store)
    await bytes.start()
    const { primary } = this
    const upward: Upward = {
      get reachable() {
        return isHere()
      },
      forward: async (request) => {
        if (!isHere()) throw new RegistryError('unavailable', 'The primary cannot be reached', { code: 'cut_off' })
        return (await primary.handle(request)) ?? assert.fail('nothing there')
      },
      takes: (record, name) => leasing.takes(record, name),
    }
    const open = (record: RepositoryRecord) => new Hosted(record, state, this.#hosted(record, bytes, leasing))
    this.#node = registryOver(state, gateOver(state), open, {
      primary: upward,
      holders: async (digest) => pending.holders(digest),
    })
    this.bringing = new Bringing({
      pending,
      leasing,
      bytes,
      link: {
        get reachable() {
          return isHere()
        },
        request: async (method, path, { body = '' } = {}) => {
          const reply = await this.#carry(method, path, typeof body === 'string' ? [Buffer.from(body)] : body)
          return { status: reply.status, headers: {}, body: Object.assign(chunks(reply.text), unused) }
        },
        json: async (method, path, body) => {
          const reply = await this.#carry(method, path, [Buffer.from(JSON.stringify(body))], true)
          return reply.text === '' ? undefined : JSON.parse(reply.text)
        },
      },
      reached: async (_: Position) => {
        await this.sync()
        return true
      },
      keep: async () => undefined,
      onAlarm: (sentence) => this.alarms.push(sentence),
      onError: (error) => assert.fail(String(error)),
    })
  }

  async #stop(): Promise<void> {
    await this.bringing.close()
    await this.#leasing.close()
    await this.pending.close()
  }

  async #carry(method: string, path: string, body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, throws = false) {
    const lost = new RegistryError('unavailable', 'The connection broke')
    if (this.answersLeft < 0) throw lost
    const plain = requestOf(method, path)
    const request = { ...plain, body: each(body) }
    try {
      const reply = await this.taking.handle(NODE, path.split('/').slice(4), request)
      if (this.answersLeft-- <= 0) throw lost
      return { status: reply.status, text: (await bodyOf(reply)).toString() }
    } catch (error) {
      if (throws || error === lost) throw error
      const reply = problem(error, request)
      return { status: reply.status, text: (await bodyOf(reply)).toString() }
    }
  }

  #hosted({ format }: RepositoryRecord, blobs: Blobs, ledger: MemoryLedger | Leasing) {
    const nameOf = formats.find(({ name }) => name === format)?.grammar?.name
    const now = () => new Date(this.nowMs).toISOString()
    return { blobs, ledger, now, maxUploadBytes: 1e9, restoreMs: 3_600_000, nameOf }
  }
}

const unused = { dump: async () => undefined, text: async () => '' }

function gateOver(state: State): Gate {
  return new Gate(state, { verify: async () => true })
}

function registryOver(
  state: State,
  gate: Gate,
  open: (record: RepositoryRecord) => Hosted,
  more: Partial<RegistryOptions> = {},
): Registry {
  return new Registry({
    metadata: state,
    access: gate,
    accounts: () => ({}) as Accounts,
    formats,
    open,
    onError: (error) => assert.fail(String(error)),
    cacheBytes: 1e6,
    ...more,
  })
}

async function* each(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  if (text !== '') yield Buffer.from(text)
}
