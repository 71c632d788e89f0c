/**
 * How old what this node knows is, and what time it is. Only the times in signed checkpoints are believed; since one was heard time
 * passes as the steady clock says, or as the wall clock does where that went further (a machine that slept). How old it is, is kept
 * in a file, so that a restart does not make it younger; when the wall clock is behind that file, nobody knows for how long the
 * node was off, and everything is too old until there are news.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Checkpoint } from '../../protocol/log/checkpoint.js'
import { Periodic } from '../../protocol/periodic.js'
import type { Position } from '../../protocol/records.js'
import { readSealed, writeSealed } from './sealed-file.js'

/** Both in milliseconds; `steadyMs` from any beginning, and nobody can set it. */
export interface Clock {
  wallMs(): number
  steadyMs(): number
}

export interface KnowledgeOptions {
  dir: string
  fleet: string
  /** The newest checkpoint of before. */
  highest: Checkpoint | undefined
  onAlarm: (sentence: string) => void
  clock?: Clock
}

interface Known {
  position: Position
  signedMs: number
  /** At `wallMs` and `steadyMs`. */
  ageMs: number
  wallMs: number
  steadyMs: number
  /** The primary itself said that it was its newest. */
  live: boolean
}

const NAME = 'knowledge'
const SAVED_EVERY_MS = 60_000
/** A wall clock that was set right by less did not go back. */
const TOLERANCE_MS = 60_000
/** 100 years: older than any bound allows, and still a time. */
const FOREVER_MS = 3_155_760_000_000

const saved = z.object({
  fleet: z.string(),
  epoch: z.int(),
  number: z.int(),
  signedMs: z.number(),
  ageMs: z.number().nonnegative(),
  wallMs: z.number(),
})

export class Knowledge {
  readonly #path: string
  readonly #fleet: string
  readonly #clock: Clock
  readonly #saving: Periodic
  #known: Known | undefined

  private constructor(path: string, { fleet, onAlarm }: KnowledgeOptions, clock: Clock, known: Known | undefined) {
    this.#path = path
    this.#fleet = fleet
    this.#clock = clock
    this.#known = known
    this.#saving = new Periodic(
      () => this.save(),
      SAVED_EVERY_MS,
      () => onAlarm('How old this node’s knowledge is could not be written down'),
    )
  }

  static async open(options: KnowledgeOptions): Promise<Knowledge> {
    const { dir, clock = { wallMs: Date.now, steadyMs: () => performance.now() } } = options
    const path = join(dir, NAME)
    return new Knowledge(path, options, clock, await remembered(path, options, clock))
  }

  start(): void {
    this.#saving.start()
  }

  async close(): Promise<void> {
    await this.#saving.close()
    await this.save()
  }

  /**
   * A checkpoint whose changes are all applied. The primary's own word makes knowledge new, once for each; what others pass on is as
   * old as it is by the time that is known here.
   */
  hear({ epoch, number, time }: Checkpoint, live: boolean): void {
    const signedMs = Date.parse(time)
    const known = this.#known
    const isNews = live ? !known?.live || signedMs !== known.signedMs : known === undefined || signedMs > known.signedMs
    if (!isNews) return
    const ageMs = live ? 0 : known === undefined ? FOREVER_MS : Math.max(0, this.nowMs - signedMs)
    const { wallMs, steadyMs } = read(this.#clock)
    this.#known = { position: { epoch, number }, signedMs, ageMs, wallMs, steadyMs, live }
  }

  /** `head`: what is applied. Where less is applied than was once known, revocations may be missing. */
  ageMs(head: Position): number {
    if (!this.#known) return FOREVER_MS
    const { epoch, number } = this.#known.position
    const isThere = head.epoch > epoch || (head.epoch === epoch && head.number >= number)
    return isThere ? this.#aged(this.#known) : FOREVER_MS
  }

  /** Goes back only when the primary's own clock does. The wall clock's before anything was heard. */
  get nowMs(): number {
    return this.#known ? this.#known.signedMs + this.#aged(this.#known) : this.#clock.wallMs()
  }

  /** ISO 8601, or 'ever'. */
  get asOf(): string {
    return this.#known ? new Date(this.#known.signedMs).toISOString() : 'ever'
  }

  async save(): Promise<void> {
    if (!this.#known) return
    const { position, signedMs } = this.#known
    const { wallMs } = read(this.#clock)
    const ageMs = this.#aged(this.#known)
    await writeSealed(this.#path, JSON.stringify({ fleet: this.#fleet, ...position, signedMs, ageMs, wallMs }))
  }

  #aged({ ageMs, wallMs, steadyMs }: Known): number {
    const now = read(this.#clock)
    return Math.min(FOREVER_MS, ageMs + Math.max(0, now.steadyMs - steadyMs, now.wallMs - wallMs))
  }
}

async function remembered(
  path: string,
  { fleet, highest }: KnowledgeOptions,
  clock: Clock,
): Promise<Known | undefined> {
  const text = await readSealed(path)
  const parsed = text === undefined || text === 'damaged' ? undefined : saved.safeParse(JSON.parse(text))
  const found = parsed?.data?.fleet === fleet ? parsed.data : undefined
  const now = read(clock)
  if (found) {
    const { epoch, number, signedMs } = found
    const offMs = now.wallMs - found.wallMs
    const ageMs = offMs < -TOLERANCE_MS ? FOREVER_MS : found.ageMs + Math.max(0, offMs)
    return { position: { epoch, number }, signedMs, ageMs, ...now, live: false }
  }
  if (!highest) return undefined
  const { epoch, number, time } = highest
  return { position: { epoch, number }, signedMs: Date.parse(time), ageMs: FOREVER_MS, ...now, live: false }
}

function read(clock: Clock): { wallMs: number; steadyMs: number } {
  return { wallMs: clock.wallMs(), steadyMs: clock.steadyMs() }
}
