/** The mesh of one simulated node: who is connected, and requests between those. Certificates and gossip are left out. */
import type { AskOptions } from '../../node/mesh/asker.js'
import type { Handler, Member } from '../../node/mesh/mesh.js'
import type { Neighbours } from '../../node/mesh/neighbours.js'
import { Pulse } from '../../node/mesh/pulse.js'
import { type Offence, Standing } from '../../node/mesh/standing.js'
import { RegistryError } from '../../protocol/errors.js'
import { MAX_PART_BYTES } from '../../protocol/wire/peer.js'
import { Flow, type Host, type Network } from './network.js'

/** Larger parts are bulk. */
const CONTROL_BYTES = 16_384
const FRAME_BYTES = 9
const IDLE_MS = 30_000

interface Link {
  other: Post
  out: Flow
  /** Ends what was asked over it, either way. */
  asked: Set<() => void>
}

export class Post implements Neighbours {
  readonly self: string
  readonly host: Host
  readonly site: number
  readonly standing: Standing
  readonly #network: Network
  readonly #links = new Map<string, Link>()
  readonly #members = new Map<string, Member>()
  readonly #handlers = new Map<string, Handler>()
  readonly #joined = new Set<(peer: string) => void>()
  readonly #left = new Set<(member: Member) => void>()
  readonly #member: Member

  constructor(network: Network, host: Host, site: number) {
    this.self = host.name
    this.host = host
    this.site = site
    this.#network = network
    this.standing = new Standing(network.timeline.now)
    const claims = { fleet: 'simulated', sub: host.name, name: host.name, peer: host.name }
    this.#member = { peer: host.name, certificate: { ...claims, repositories: ['*'], iat: 0, exp: 2 ** 40 } }
  }

  get connected(): ReadonlySet<string> {
    return new Set(this.#members.keys())
  }

  get size(): number {
    return this.#members.size
  }

  members(): Member[] {
    return [...this.#members.values()]
  }

  member(peer: string): Member | undefined {
    return this.#members.get(peer)
  }

  near(peer: string): boolean {
    return (this.#links.get(peer)?.other.site ?? this.site) === this.site
  }

  handle(name: string, handler: Handler): void {
    this.#handlers.set(name, handler)
  }

  handler(name: string): Handler {
    const handler = this.#handlers.get(name)
    if (!handler) throw new RegistryError('unsupported', `Nothing handles ${name}`)
    return handler
  }

  onJoin(listener: (peer: string) => void): void {
    this.#joined.add(listener)
  }

  onLeave(listener: (member: Member) => void): () => void {
    this.#left.add(listener)
    return () => this.#left.delete(listener)
  }

  blame(peer: string, offence: Offence): void {
    if (this.standing.blame(peer, offence)) this.disconnect(peer)
  }

  connect(other: Post): void {
    if (this.#links.has(other.self)) return
    this.#link(other)
    other.#link(this)
    for (const listener of this.#joined) listener(other.self)
    for (const listener of other.#joined) listener(this.self)
  }

  disconnect(peer: string): void {
    const link = this.#links.get(peer)
    if (!link) return
    this.#unlink(link.other)
    link.other.#unlink(this)
  }

  disconnectAll(): void {
    for (const peer of [...this.#links.keys()]) this.disconnect(peer)
  }

  async *request(
    peer: string,
    name: string,
    payload: Uint8Array,
    options: AskOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    options.signal.throwIfAborted()
    const link = this.#links.get(peer)
    if (!link) throw gone()
    const { other } = link
    const stop = new AbortController()
    const answer = new Answer(this.#network)
    const end = (): void => {
      answer.fail(gone())
      stop.abort(gone())
    }
    link.asked.add(end)
    const length = FRAME_BYTES + 1 + name.length + payload.length
    const asked = Buffer.from(payload)
    this.#network.message(this.host, other.host, length, () => {
      if (!stop.signal.aborted) void other.#answer(this, name, asked, stop.signal, answer)
    })
    try {
      for (;;) {
        const part = await answer.take(options.signal, options.idleMs ?? IDLE_MS)
        if (!part) return
        yield part
      }
    } finally {
      link.asked.delete(end)
      if (!answer.ended && !stop.signal.aborted)
        this.#network.message(this.host, other.host, FRAME_BYTES, () => stop.abort(cancelled()))
    }
  }

  #link(other: Post): void {
    this.#links.set(other.self, { other, out: new Flow(this.host, other.host), asked: new Set() })
    this.#members.set(other.self, other.#member)
  }

  #unlink(other: Post): void {
    const link = this.#links.get(other.self)
    if (!link) return
    this.#links.delete(other.self)
    this.#members.delete(other.self)
    this.#network.close(link.out)
    for (const end of [...link.asked]) end()
    for (const listener of [...this.#left]) listener(other.#member)
  }

  /** Never rejects. */
  async #answer(from: Post, name: string, payload: Buffer, signal: AbortSignal, answer: Answer): Promise<void> {
    const say = (bytes: number, arrived: () => void): void => {
      if (!signal.aborted) this.#network.message(this.host, from.host, FRAME_BYTES + bytes, arrived)
    }
    try {
      let parts = 0
      for await (const chunk of this.handler(name)(from.#member, payload, signal)) {
        for (let at = 0; at < chunk.length; at += MAX_PART_BYTES) {
          const part = chunk.subarray(at, at + MAX_PART_BYTES)
          const arrived = (): void => answer.push(part)
          parts++
          const flow = this.#links.get(from.self)?.out
          if (part.length <= CONTROL_BYTES || !flow) say(part.length, arrived)
          else await this.#network.send(flow, part.length, arrived)
          signal.throwIfAborted()
        }
      }
      say(0, () => answer.end(parts))
    } catch (error) {
      const refusal =
        error instanceof RegistryError ? error : new RegistryError('unavailable', 'The peer failed to answer')
      say(refusal.message.length + 64, () => answer.fail(refusal))
    }
  }
}

/** What has arrived of an answer, and was not taken. */
class Answer {
  readonly #network: Network
  readonly #parts: Uint8Array[] = []
  readonly #pulse = new Pulse()
  #pushed = 0
  #whole: number | undefined
  #error: RegistryError | undefined

  constructor(network: Network) {
    this.#network = network
  }

  get ended(): boolean {
    return this.#error !== undefined || this.#pushed === this.#whole
  }

  push(part: Uint8Array): void {
    this.#parts.push(part)
    this.#pushed++
    this.#pulse.beat()
  }

  end(parts: number): void {
    this.#whole = parts
    this.#pulse.beat()
  }

  fail(error: RegistryError): void {
    this.#error ??= error
    this.#pulse.beat()
  }

  /** undefined: the end. */
  async take(signal: AbortSignal, idleMs: number): Promise<Uint8Array | undefined> {
    let silent = false
    const cancel = Number.isFinite(idleMs)
      ? this.#network.timeline.after(idleMs, () => {
          silent = true
          this.#pulse.beat()
        })
      : undefined
    try {
      for (;;) {
        const part = this.#parts.shift()
        if (part) return part
        if (this.#error) throw this.#error
        if (this.#pushed === this.#whole) return undefined
        signal.throwIfAborted()
        if (silent) throw new RegistryError('unavailable', 'The peer fell silent', { code: 'peer_silent' })
        await this.#pulse.next({ signal })
      }
    } finally {
      cancel?.()
    }
  }
}

function gone(): RegistryError {
  return new RegistryError('unavailable', 'The peer went away', { code: 'peer_gone' })
}

function cancelled(): RegistryError {
  return new RegistryError('unavailable', 'The asker wants no more', { code: 'cancelled' })
}
