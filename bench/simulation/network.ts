/**
 * Links between hosts. Each host has one way up and one way down, with a rate. Bulk bytes go in quanta: the ways up take turns
 * among the flows that have something to send and whose window is open, the ways down serve in order of arrival. Messages of
 * control arrive after the latency, and take their bytes' time from both ways. Nothing is lost but what crosses a cut.
 */
import type { Timeline } from './timeline.js'

export interface Line {
  /** Bytes per second, each way. */
  rate: number
  latencyMs: number
}

export interface Traffic {
  messages: number
  /** Of messages, sent and received. */
  controlBytes: number
  /** Received. */
  bulkBytes: number
  bulkSent: number
}

interface Part {
  left: number
  bytes: number
  sent: () => void
  arrived: () => void
}

/** Bytes under way on one flow. */
const WINDOW_BYTES = 524_288
/** What an operating system takes from a sender before it has to wait. */
const BUFFER_BYTES = 1_048_576
/** Addresses and lengths of a message's packets: IP, TCP, TLS. */
const PACKET_BYTES = 82

export class Host {
  readonly name: string
  readonly line: Line
  readonly traffic: Traffic = { messages: 0, controlBytes: 0, bulkBytes: 0, bulkSent: 0 }
  /** Who cannot reach each other have different sides. */
  side = 0
  alive = true
  readonly ready: Flow[] = []
  sending = false
  /** Bytes of messages that the way up still has to make up for. */
  owed = 0
  downFreeMs = 0

  constructor(name: string, line: Line) {
    this.name = name
    this.line = line
  }

  get bytesPerMs(): number {
    return this.line.rate / 1000
  }
}

export class Flow {
  readonly from: Host
  readonly to: Host
  readonly parts: Part[] = []
  queued = 0
  underWay = 0
  waiting = false
  closed = false

  constructor(from: Host, to: Host) {
    this.from = from
    this.to = to
  }

  get open(): boolean {
    return this.parts.length > 0 && this.underWay < WINDOW_BYTES
  }
}

export class Network {
  readonly timeline: Timeline
  readonly #quantum: number
  #trace = 0

  constructor(timeline: Timeline, quantum = 65_536) {
    this.timeline = timeline
    this.#quantum = quantum
  }

  /** Of everything that arrived so far: who, when, how much. */
  get trace(): number {
    return this.#trace
  }

  reaches(from: Host, to: Host): boolean {
    return from.alive && to.alive && from.side === to.side
  }

  latencyMs(from: Host, to: Host): number {
    return from.line.latencyMs + to.line.latencyMs
  }

  message(from: Host, to: Host, length: number, arrived: () => void): void {
    const bytes = length + PACKET_BYTES
    const nowMs = this.timeline.now()
    from.traffic.messages++
    from.traffic.controlBytes += bytes
    from.owed += bytes
    const atMs = nowMs + this.latencyMs(from, to) + bytes / from.bytesPerMs + bytes / to.bytesPerMs
    this.timeline.at(
      atMs,
      () => {
        if (!this.reaches(from, to)) return
        to.traffic.controlBytes += bytes
        to.downFreeMs = Math.max(to.downFreeMs, this.timeline.now()) + bytes / to.bytesPerMs
        this.#note(to, bytes)
        arrived()
      },
      true,
    )
  }

  /** Resolves when the sender need not hold the bytes back: long before they have arrived. */
  send(flow: Flow, bytes: number, arrived: () => void): Promise<void> {
    return new Promise((resolve) => {
      const held = flow.queued >= BUFFER_BYTES
      flow.queued += bytes
      flow.parts.push({ left: bytes, bytes, arrived, sent: held ? resolve : () => undefined })
      if (!held) resolve()
      this.#offer(flow)
    })
  }

  /** Nothing of it arrives any more. */
  close(flow: Flow): void {
    flow.closed = true
    for (const { sent } of flow.parts) sent()
    flow.parts.length = 0
  }

  #offer(flow: Flow): void {
    if (flow.waiting || flow.closed || !flow.open) return
    flow.waiting = true
    flow.from.ready.push(flow)
    this.#turn(flow.from)
  }

  #turn(host: Host): void {
    if (host.sending) return
    let flow: Flow | undefined
    let part: Part | undefined
    while (!part) {
      flow = host.ready.shift()
      if (!flow) return
      flow.waiting = false
      part = flow.parts[0]
    }
    if (flow) this.#transmit(host, flow, part)
  }

  #transmit(host: Host, flow: Flow, part: Part): void {
    const bytes = Math.min(part.left, this.#quantum)
    host.sending = true
    const tookMs = (bytes + host.owed) / host.bytesPerMs
    host.owed = 0
    this.timeline.at(this.timeline.now() + tookMs, () => this.#sent(flow, part, bytes), part.left === bytes)
  }

  #sent(flow: Flow, part: Part, bytes: number): void {
    const { from, to } = flow
    from.sending = false
    from.traffic.bulkSent += bytes
    if (!flow.closed) {
      part.left -= bytes
      flow.queued -= bytes
      flow.underWay += bytes
      if (part.left === 0) {
        flow.parts.shift()
        part.sent()
      }
      const last = part.left === 0
      const atMs = this.timeline.now() + this.latencyMs(from, to)
      this.timeline.at(atMs, () => this.#reached(flow, part, bytes, last), false)
      this.#offer(flow)
    }
    this.#turn(from)
  }

  #reached(flow: Flow, part: Part, bytes: number, last: boolean): void {
    const { to } = flow
    if (flow.closed || !this.reaches(flow.from, to)) return
    to.downFreeMs = Math.max(to.downFreeMs, this.timeline.now()) + bytes / to.bytesPerMs
    this.timeline.at(
      to.downFreeMs,
      () => {
        flow.underWay -= bytes
        if (flow.closed || !to.alive) return
        to.traffic.bulkBytes += bytes
        this.#note(to, bytes)
        this.#offer(flow)
        if (last) part.arrived()
      },
      last,
    )
  }

  #note(to: Host, bytes: number): void {
    let hash = Math.imul(this.#trace ^ Math.round(this.timeline.elapsedMs * 1000), 0x85ebca6b) ^ bytes
    for (let at = 0; at < to.name.length; at++) hash = Math.imul(hash ^ to.name.charCodeAt(at), 0x01000193)
    this.#trace = hash >>> 0
  }
}
