/**
 * A fleet that wants one blob at once, under what a scenario does to it. Everything follows from the seed: the same seed gives
 * the same run, event by event.
 */
import { geometryOf } from '../../node/mesh/pieces.js'
import { type Blob, newBlob } from './blob.js'
import { corrupt } from './hostile.js'
import { Host, Network } from './network.js'
import { SimulatedNode } from './node.js'
import { Origin } from './origin.js'
import { type Random, seeded, seedFor, shuffle } from './random.js'
import { Timeline } from './timeline.js'

export interface Scenario {
  nodes: number
  seed: number
  blobBytes: number
  /** Of each node and of the primary, each way. Default 100. */
  mbit?: number
  /** One way, between any two. Default 1. */
  latencyMs?: number
  /** Shares of the nodes: with a tenth of the rate; with bad intent. Default 0. */
  slow?: number
  hostile?: number
  /** Share of the nodes that is killed each minute, each followed by a new one. Default 0. */
  churn?: number
  /** Half of the nodes cannot reach the others and the primary. */
  partition?: { afterMs: number; forMs: number }
  /** Bulk bytes that move at once; coarser is faster to simulate. */
  quantum?: number
  limitMs?: number
  /** Connected by the simulation to so many others each, instead of by dialling. */
  degree?: number
}

interface Spread {
  least: number
  mean: number
  most: number
}

export interface Outcome {
  /** Of honest nodes with the usual rate: seconds from a client's request to its last byte, in order. */
  seconds: number[]
  /** The same since the crowd came, for the curve of those that have it. */
  finished: number[]
  unserved: number
  /** size ÷ rate × (1 + ⌊log2 nodes⌋ ÷ pieces) */
  boundS: number
  /** Bytes out of the primary ÷ size. */
  copies: number
  /** Per node. */
  messages: number
  controlBytes: number
  /** Bulk bytes received beyond the size ÷ size, the mean node. */
  waste: number
  /** Refusals that clients saw. */
  errors: number
  connections: Spread
  /** Bulk bytes sent ÷ size, by node. */
  uploads: Spread
  trace: number
}

/** The time in which a fleet finds itself before the crowd comes. */
const WARM_MS = 60_000
const CROWD_MS = 100
const HEARTBEAT_MS = 5000
const PING_MS = 15_000

export async function simulate(scenario: Scenario): Promise<Outcome> {
  const fleet = new Fleet(scenario, await newBlob(scenario.blobBytes, seeded(scenario.seed)))
  return fleet.run()
}

class Fleet {
  readonly #scenario: Scenario
  readonly #random: Random
  readonly #timeline = new Timeline()
  readonly #network: Network
  readonly #blob: Blob
  readonly #origin: Origin
  readonly #nodes = new Map<string, SimulatedNode>()
  readonly #kinds = new Map<string, 'slow' | 'hostile'>()
  readonly #working: Promise<void>[] = []
  #failure: unknown
  #crowdMs = Number.POSITIVE_INFINITY

  constructor(scenario: Scenario, blob: Blob) {
    this.#scenario = scenario
    this.#random = seeded(seedFor(scenario.seed, 'fleet'))
    this.#network = new Network(this.#timeline, scenario.quantum)
    this.#blob = blob
    this.#origin = new Origin(this.#network, new Host('primary', this.#line(1)), blob)
  }

  async run(): Promise<Outcome> {
    const { nodes, degree } = this.#scenario
    for (let at = 0; at < nodes; at++) this.#add(this.#kind(at))
    if (degree === undefined) {
      this.#introduce()
      await this.#timeline.run(() => false, WARM_MS)
    } else this.#connect(degree)
    const connections = spread([...this.#nodes.values()].map(({ post }) => post.size))
    for (const { host } of this.#nodes.values()) Object.assign(host.traffic, { messages: 0, controlBytes: 0 })
    this.#crowdMs = this.#timeline.now()
    for (const node of this.#nodes.values()) this.#start(node, this.#random() * CROWD_MS)
    this.#disturb()
    await this.#timeline.run(() => this.#done(), this.#scenario.limitMs ?? 3_600_000)
    const outcome = this.#outcome(connections)
    if (this.#failure) throw this.#failure
    await this.#end()
    return outcome
  }

  #kind(at: number): 'slow' | 'hostile' | undefined {
    const { slow = 0, hostile = 0 } = this.#scenario
    const share = (at * 0.618034) % 1
    return share < hostile ? 'hostile' : share < hostile + slow ? 'slow' : undefined
  }

  #line(share: number) {
    const { mbit = 100, latencyMs = 1 } = this.#scenario
    return { rate: (mbit * 1e6 * share) / 8, latencyMs: latencyMs / 2 }
  }

  #add(kind: 'slow' | 'hostile' | undefined): SimulatedNode {
    // Names are as peer ids are: alike in nothing.
    const name = `n${Math.floor(this.#random() * 2 ** 52).toString(36)}`
    const host = new Host(name, this.#line(kind === 'slow' ? 0.1 : 1))
    const [network, origin, blob, seed] = [this.#network, this.#origin, this.#blob, seedFor(this.#scenario.seed, name)]
    const node = new SimulatedNode({
      network,
      host,
      site: 0,
      origin,
      blob,
      seed,
      find: (peer) => this.#nodes.get(peer),
    })
    if (kind) this.#kinds.set(name, kind)
    if (kind === 'hostile') corrupt(node.post, blob.stored, this.#kinds.size)
    this.#nodes.set(name, node)
    return node
  }

  /** As heartbeats do: everybody hears of everybody. */
  #introduce(only?: SimulatedNode): void {
    const names = [...this.#nodes.keys()]
    for (const node of only ? [only] : this.#nodes.values()) node.introduce(names)
    if (!only) return
    this.#timeline.after(HEARTBEAT_MS, () => {
      for (const node of this.#nodes.values()) if (node !== only) node.introduce([only.host.name])
    })
  }

  /** A random graph: each to `degree` others, so twice as many connections in the mean. */
  #connect(degree: number): void {
    const all = [...this.#nodes.values()]
    for (const node of all)
      for (let at = 0; at < degree; at++) {
        const other = all[Math.floor(this.#random() * all.length)]
        if (other && other !== node) node.post.connect(other.post)
      }
  }

  #start(node: SimulatedNode, delayMs: number): void {
    this.#timeline.after(delayMs, () => {
      if (node.host.alive) this.#work(node.fetch())
    })
  }

  #disturb(): void {
    const { churn = 0, partition, nodes } = this.#scenario
    if (churn > 0) {
      const everyMs = 60_000 / (churn * nodes)
      const next = (): void => {
        this.#replace()
        this.#timeline.after(everyMs, next)
      }
      this.#timeline.after(everyMs, next)
    }
    if (!partition) return
    this.#timeline.after(partition.afterMs, () => this.#cut())
    this.#timeline.after(partition.afterMs + partition.forMs, () => {
      for (const { host } of this.#nodes.values()) host.side = 0
    })
  }

  #replace(): void {
    const victims = [...this.#nodes.values()].filter(({ host }) => this.#kinds.get(host.name) !== 'hostile')
    const victim = victims[Math.floor(this.#random() * victims.length)]
    if (!victim) return
    this.#nodes.delete(victim.host.name)
    this.#work(victim.kill())
    const node = this.#add(this.#kinds.get(victim.host.name))
    if (this.#scenario.degree === undefined) this.#introduce(node)
    else this.#connectOne(node, this.#scenario.degree)
    this.#start(node, 1000)
  }

  #connectOne(node: SimulatedNode, degree: number): void {
    for (const other of shuffle([...this.#nodes.values()], this.#random).slice(0, 2 * degree))
      if (other !== node) node.post.connect(other.post)
  }

  /** Connections across it are found to be dead by the next ping. */
  #cut(): void {
    const all = [...this.#nodes.values()]
    for (const [at, { host }] of all.entries()) host.side = at % 2
    this.#timeline.after(PING_MS, () => {
      for (const { post, host } of all)
        for (const peer of post.connected) if (this.#nodes.get(peer)?.host.side !== host.side) post.disconnect(peer)
    })
  }

  #work(work: Promise<void>): void {
    this.#working.push(
      work.catch((error: unknown) => {
        this.#failure ??= error
      }),
    )
  }

  #done(): boolean {
    if (this.#failure) return true
    for (const node of this.#nodes.values())
      if (node.doneMs === undefined && this.#kinds.get(node.host.name) !== 'hostile') return false
    return true
  }

  #outcome(connections: Spread): Outcome {
    const { nodes, blobBytes } = this.#scenario
    const all = [...this.#nodes.values()]
    const honest = all.filter(({ host }) => this.#kinds.get(host.name) !== 'hostile')
    const usual = honest.filter(({ host }) => this.#kinds.get(host.name) === undefined)
    const done = usual.filter(({ doneMs }) => doneMs !== undefined)
    const ascending = (list: number[]) => list.sort((a, b) => a - b)
    const mean = (of: (node: SimulatedNode) => number) =>
      honest.reduce((sum, node) => sum + of(node), 0) / honest.length
    return {
      seconds: ascending(done.map(({ doneMs = 0, begunMs }) => (doneMs - Math.max(begunMs, this.#crowdMs)) / 1000)),
      finished: ascending(done.map(({ doneMs = 0 }) => (doneMs - this.#crowdMs) / 1000)),
      unserved: honest.filter(({ doneMs }) => doneMs === undefined).length,
      boundS: (blobBytes / this.#line(1).rate) * (1 + Math.floor(Math.log2(nodes)) / geometryOf(blobBytes).pieces),
      copies: this.#origin.sent / blobBytes,
      messages: mean(({ host }) => host.traffic.messages),
      controlBytes: mean(({ host }) => host.traffic.controlBytes),
      waste: mean(({ host }) => host.traffic.bulkBytes / blobBytes) - 1,
      errors: honest.reduce((sum, { errors }) => sum + errors, 0),
      connections,
      uploads: spread(all.map(({ host }) => host.traffic.bulkSent / blobBytes)),
      trace: this.#network.trace,
    }
  }

  async #end(): Promise<void> {
    const nodes = [...this.#nodes.values()]
    this.#nodes.clear()
    for (const node of nodes) this.#work(node.kill())
    await this.#timeline.run(() => false, 120_000)
    await Promise.all(this.#working)
  }
}

function spread(figures: number[]): Spread {
  return {
    least: Math.min(...figures),
    mean: figures.reduce((sum, figure) => sum + figure, 0) / figures.length,
    most: Math.max(...figures),
  }
}
