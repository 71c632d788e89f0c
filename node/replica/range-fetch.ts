/**
 * Fetches proved parts of the log from whoever has them: several sources share the work, and one that sends what is wrong, nothing,
 * too much or too slowly is left alone for a while; another is asked for the same. What already lies here is not asked for.
 */
import { collect } from '../../protocol/chunks.js'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import type { LogItem } from '../../protocol/log/entry.js'
import { type KnownLog, ProvedRange } from '../../protocol/log/range.js'
import { decodeRange, MAX_RANGE_ANSWER_BYTES, type RangeAnswer, type RangeAsk } from '../../protocol/wire/range.js'

/** A peer, or the primary. */
export interface LogSource {
  name: string
  /** Asked only when nobody else can be. */
  isReserve?: boolean
  range(ask: RangeAsk, signal: AbortSignal): AsyncIterable<Uint8Array>
}

export interface RangeFetchOptions {
  /** Best first, as they are now. */
  sources: () => LogSource[]
  /** Entries [start, end) as they lie here; undefined for what is missing. */
  held: (start: number, end: number) => Promise<(LogItem | undefined)[]>
  /** This node may see all there is: whoever hides an entry from it has it not, or withholds it. */
  seesAll?: () => boolean
  /** Told of a source that sent what no honest one sends. */
  blame: (name: string) => void
  log: (sentence: string, error: unknown) => void
  nowMs: () => number
  /** For one answer. Default 30 s. */
  deadlineMs?: number
}

export interface Fetched {
  range: ProvedRange
  /** A checkpoint of the middle, as the source says: not verified. */
  note: string | undefined
}

/** Why a source was left alone. */
export type Refusal = 'wrong' | 'silent' | 'absent'

/** Requests under way at one source. */
const AT_ONCE = 3
const DEADLINE_MS = 30_000
const REST_MS: Record<Refusal, number> = { wrong: 600_000, silent: 60_000, absent: 5_000 }

export class RangeFetch {
  readonly #options: RangeFetchOptions
  readonly #resting = new Map<string, number>()
  readonly #busy = new Map<string, number>()
  readonly #free = new Set<() => void>()
  /** How often each happened, for metrics. */
  readonly refusals: Record<Refusal, number> = { wrong: 0, silent: 0, absent: 0 }
  /** Bytes of answers. */
  received = 0

  constructor(options: RangeFetchOptions) {
    this.#options = options
  }

  /** Entries [start, end) in order, at most MAX_RANGE that begin at a multiple of it. Throws `unavailable` when nobody has them. */
  async fetch(log: KnownLog, start: number, end: number, signal: AbortSignal): Promise<Fetched[]> {
    const held = await this.#options.held(start, end)
    const fetched: Fetched[] = []
    for (let at = start; at < end; ) {
      const part = await this.#part(log, at, held.slice(at - start, at - start + pieceAt(at, end)), signal)
      fetched.push(part)
      at = part.range.end
    }
    return fetched
  }

  async #part(log: KnownLog, start: number, held: (LogItem | undefined)[], signal: AbortSignal): Promise<Fetched> {
    for (;;) {
      const source = await this.#choose(signal)
      this.#count(source.name, 1)
      try {
        return await this.#ask(source, log, start, held, signal)
      } catch (error) {
        signal.throwIfAborted()
        this.#leave(source, error)
      } finally {
        this.#count(source.name, -1)
      }
    }
  }

  async #ask(
    source: LogSource,
    log: KnownLog,
    start: number,
    held: (LogItem | undefined)[],
    signal: AbortSignal,
  ): Promise<Fetched> {
    const wanted = gaps(held, start)
    const answer = await this.#answer(source, { length: log.length, start, count: held.length, wanted }, signal)
    if (this.#options.seesAll?.() && answer.items.some((item) => 'leaf' in item)) throw hidden()
    const items = filled(held.slice(0, answer.count), start, answer.items)
    try {
      return { range: ProvedRange.prove(log, start, items, answer.proof), note: answer.note }
    } catch (error) {
      if (wanted === undefined) throw error
      // It may be what lies here that is wrong: all of it, from the same source, shows who is.
      return this.#ask(
        source,
        log,
        start,
        Array.from(held, () => undefined),
        signal,
      )
    }
  }

  async #answer(source: LogSource, ask: RangeAsk, signal: AbortSignal): Promise<RangeAnswer> {
    const limited = deadline(this.#options.deadlineMs ?? DEADLINE_MS, signal)
    const bytes = await collect(source.range(ask, limited), MAX_RANGE_ANSWER_BYTES)
    this.received += bytes.length
    const answer = await decodeRange(bytes)
    const isPiece = answer.count === ask.count || Number.isInteger(Math.log2(answer.count))
    if (answer.count < 1 || answer.count > ask.count || !isPiece) throw malformed()
    return answer
  }

  /** The one with the least to do. Throws `unavailable` when there is none. */
  async #choose(signal: AbortSignal): Promise<LogSource> {
    for (;;) {
      signal.throwIfAborted()
      const nowMs = this.#options.nowMs()
      const all = this.#options.sources().filter(({ name }) => (this.#resting.get(name) ?? 0) <= nowMs)
      const others = all.filter(({ isReserve = false }) => !isReserve)
      const awake = others.length > 0 ? others : all
      if (awake.length === 0)
        throw new RegistryError('unavailable', 'Nobody who can be asked has this part of the log', { retryAfter: 5 })
      const load = ({ name }: LogSource): number => this.#busy.get(name) ?? 0
      const [best] = awake.filter((source) => load(source) < AT_ONCE).sort((one, other) => load(one) - load(other))
      if (best) return best
      await new Promise<void>((resolve) => this.#free.add(resolve))
    }
  }

  #count(name: string, by: number): void {
    this.#busy.set(name, (this.#busy.get(name) ?? 0) + by)
    if (by > 0) return
    for (const go of this.#free) go()
    this.#free.clear()
  }

  #leave({ name }: LogSource, error: unknown): void {
    const refusal = refusalOf(error)
    this.refusals[refusal]++
    this.#resting.set(name, this.#options.nowMs() + REST_MS[refusal])
    if (refusal === 'wrong') this.#options.blame(name)
    if (refusal !== 'absent') this.#options.log(`A part of the log was not taken from ${name}`, error)
  }
}

/** The largest piece that begins there. */
function pieceAt(at: number, end: number): number {
  let count = 1
  while (at % (2 * count) === 0 && count < end - at) count *= 2
  return Math.min(count, end - at)
}

/** undefined: nothing is held. */
function gaps(held: readonly (LogItem | undefined)[], start: number): [number, number][] | undefined {
  if (held.every((item) => item === undefined)) return undefined
  const found: [number, number][] = []
  for (const [at, item] of held.entries()) {
    if (item) continue
    const last = found.at(-1)
    if (last?.[1] === start + at) last[1]++
    else found.push([start + at, start + at + 1])
  }
  return found
}

function filled(held: readonly (LogItem | undefined)[], start: number, sent: readonly LogItem[]): LogItem[] {
  const items: LogItem[] = []
  let next = 0
  for (const [at, own] of held.entries()) {
    const item = own ?? sent[next++]
    if (item?.number !== start + at + 1) throw malformed()
    items.push(item)
  }
  if (next !== sent.length) throw malformed()
  return items
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof RegistryError)) return 'silent'
  if (error.kind === 'corrupt' || error.kind === 'too_large' || error.code === 'malformed_message') return 'wrong'
  if (error.kind === 'missing' || error.kind === 'unsupported' || error.code === 'peer_gone') return 'absent'
  return 'silent'
}

function hidden(): RegistryError {
  return new RegistryError('missing', 'Entries are hidden that this node may see')
}

function malformed(): RegistryError {
  return new RegistryError('invalid', 'A part of the log that is not what was asked for', { code: 'malformed_message' })
}
