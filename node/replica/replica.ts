/**
 * A node's copy of the log and of what it leaves behind. Nothing is applied that does not follow, leaf by leaf, from the
 * log that was applied before to the root of a checkpoint that the primary signed; applied exactly once, in order; the highest
 * checkpoint ever accepted is remembered apart from LevelDB, so that neither a lost tail nor an old copy rolls it back. Every
 * checkpoint that is heard must be consistent with what is held and with the highest one; after two that are not, nothing is believed.
 * An epoch that the operator's recovery key began is followed: what goes beyond its beginning is taken back, and kept in a file.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'
import { failpoint } from '../../protocol/failpoint.js'
import { type Beginning, keptOf } from '../../protocol/log/beginning.js'
import { type Checkpoint, verifyCheckpoint } from '../../protocol/log/checkpoint.js'
import { type Contradiction, contradictionError, contradicts } from '../../protocol/log/contradiction.js'
import { decodeChange, type LogItem, leafOf } from '../../protocol/log/entry.js'
import type { HeldLog } from '../../protocol/log/prover.js'
import type { ProvedRange } from '../../protocol/log/range.js'
import type { RangeLog } from '../../protocol/log/ranges.js'
import { LogTree } from '../../protocol/log/tree.js'
import { Frontier } from '../../protocol/merkle.js'
import { Batch } from '../../protocol/metadata/batch.js'
import type { Rows } from '../../protocol/metadata/rows.js'
import { State } from '../../protocol/metadata/state.js'
import type { Change, Digest, FileRecord, Position, RepositoryRecord, Stored } from '../../protocol/records.js'
import type { PublicHalves } from '../../protocol/recovery/key.js'
import { type Database, isDamage, openDatabase, startOver } from './database.js'
import { Epochs } from './epochs.js'
import { Evidence } from './evidence.js'
import { Highest, type Signed } from './highest.js'
import { type Clock, Knowledge } from './knowledge.js'
import { LevelRows, type Operation, seal, unseal } from './level-rows.js'
import { LogStore, type StoredNote, type Tail } from './log-store.js'
import { keepTakenBack } from './taken-back.js'

/** What became of a batch. `behind`: entries before it are missing, and they must be fetched first. */
export type Verdict = 'applied' | 'known' | 'behind'

export interface ReplicaOptions {
  dir: string
  fleet: string
  /** The primary's log key, 32 raw bytes. */
  publicKey: Uint8Array
  onAlarm: (sentence: string) => void
  clock?: Clock
  /** What is read in place of rows, which come and go with rebuilding. Default the rows themselves. */
  over?: (rows: Rows) => Rows
}

/** What is kept beside LevelDB. */
interface Known {
  highest: Highest
  evidence: Evidence
  knowledge: Knowledge
  epochs: Epochs
}

interface Stand {
  generation: number
  number: number
  epoch: number
  frontier: unknown
  /** Rows of the generation, so that a lost one is noticed. */
  rows: number
}

const STAND = 'stand'
const REPLAY_PAGE = 5000
const NOTHING: Stand = { generation: 1, number: 0, epoch: 1, frontier: new Frontier().toJSON(), rows: 0 }

export class Replica {
  readonly #options: ReplicaOptions
  #db: Database
  #log: LogStore
  #rows: LevelRows
  /** One object for the replica's whole life: others hold on to it. */
  readonly state: State
  #stand: Stand
  #frontier: Frontier
  readonly #highest: Highest
  readonly #evidence: Evidence
  readonly #knowledge: Knowledge
  readonly #epochs: Epochs
  /** Over the entries that are held. */
  #tree = new LogTree((start, end) => this.#log.leaves(start, end))
  #turn: Promise<unknown> = Promise.resolve()
  #rebuilding: Promise<void> | undefined
  #checking: Promise<void> | undefined
  readonly #stop = new AbortController()
  readonly #waiting = new Set<() => void>()

  private constructor(
    options: ReplicaOptions,
    db: Database,
    stand: Stand,
    { highest, evidence, knowledge, epochs }: Known,
    rows: LevelRows,
    state: State,
  ) {
    this.#options = options
    this.#db = db
    this.#log = new LogStore(db)
    this.#rows = rows
    this.state = state
    this.#stand = stand
    this.#frontier = Frontier.fromJSON(stand.frontier)
    this.#highest = highest
    this.#evidence = evidence
    this.#knowledge = knowledge
    this.#epochs = epochs
  }

  static async open(options: ReplicaOptions): Promise<Replica> {
    await mkdir(options.dir, { recursive: true })
    const db = await openDatabase(recordsIn(options.dir), options.onAlarm)
    const holder: { replica?: Replica } = {}
    const onDamage = () => holder.replica?.rebuild()
    const found = await readStand(db)
    const rows = new LevelRows(db, `g${found?.generation ?? 1}`, onDamage)
    const { over = (own) => own } = options
    const state = found && (await State.open(over(rows), found).catch(() => undefined))
    const highest = await Highest.open(options)
    const known = {
      highest,
      evidence: await Evidence.open(options.dir),
      knowledge: await Knowledge.open({ ...options, highest: highest.signed?.checkpoint }),
      epochs: await Epochs.open(options),
    }
    const replica = state
      ? new Replica(options, db, found, known, rows, state)
      : new Replica(options, db, found ?? NOTHING, known, rows, await State.open(over(NO_ROWS), NOTHING))
    holder.replica = replica
    if (!state) await replica.#rebuild()
    const recovery = replica.state.access('recovery', 'key')
    if (recovery) await known.epochs.learn(recovery)
    await replica.#follow()
    return replica
  }

  /** Reads every row once in the background and rebuilds them if any is damaged or lost. */
  start(): void {
    this.#knowledge.start()
    this.#checking = this.#check()
  }

  /** Resolves when the check that `start` began, and the rebuilding that it led to, are done. */
  async checked(): Promise<void> {
    await this.#checking
    await this.rebuilt()
  }

  /** Resolves when no rebuilding is under way. */
  async rebuilt(): Promise<void> {
    await this.#rebuilding
  }

  async #check(): Promise<void> {
    const stand = this.#stand
    const sound = await this.#rows.sound(this.#stop.signal).catch(() => stand.rows)
    // What was applied meanwhile makes the count unknowable; then only damaged rows count as damage.
    const lost = sound !== undefined && stand === this.#stand && sound !== stand.rows
    if (sound === undefined || lost) this.rebuild()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#checking
    await this.#turn.catch(() => undefined)
    await this.#rebuilding
    await this.#knowledge.close()
    await this.#db.close()
  }

  get head(): Position {
    return this.state.head
  }

  /** The newest checkpoint ever accepted. Its time is the newest signed time that this node has seen. */
  get highest(): Checkpoint | undefined {
    return this.#highest.signed?.checkpoint
  }

  /** What the primary signed and cannot both be true: nothing that it signs is believed since. */
  get contradiction(): Contradiction | undefined {
    return this.#evidence.found
  }

  /** False while entries are known to exist that were not applied: after a damaged start, or while catching up. */
  get current(): boolean {
    return this.head.number >= (this.highest?.number ?? 0)
  }

  /** Time as far as the primary told it and the steady clock since. Milliseconds since 1970. */
  get nowMs(): number {
    return this.#knowledge.nowMs
  }

  /** How long ago the primary was last heard of, by whatever way, as far as its changes are applied. */
  get ageMs(): number {
    return this.#knowledge.ageMs(this.head)
  }

  /** Why nothing of a repository is given out for now: what is known here is older than it allows. */
  stale({ key, maxStalenessSeconds }: RepositoryRecord): string | undefined {
    if (maxStalenessSeconds === undefined || this.ageMs <= maxStalenessSeconds * 1000) return undefined
    const { asOf } = this.#knowledge
    return `This node has had no news of the primary since ${asOf}; without any it serves ${key} for ${maxStalenessSeconds} seconds.`
  }

  /** The operator's recovery key, as this node believes it. */
  get recovery(): PublicHalves | undefined {
    return this.#epochs.recovery
  }

  /** Notes of the beginnings of all epochs after the first, in order, for peers. */
  get beginnings(): readonly string[] {
    return this.#epochs.beginnings.map(({ note }) => note)
  }

  /**
   * Throws `corrupt` for what the primary did not sign; nothing of it is applied. `live`: the primary says that this is its newest
   * checkpoint now. `beginnings`: of epochs, as they came with it.
   */
  receive(items: LogItem[], note: string, live = false, beginnings: readonly string[] = []): Promise<Verdict> {
    const done = this.#turn.then(() => this.#receive(items, note, live, beginnings))
    this.#turn = done.catch(() => undefined)
    return done
  }

  /**
   * Entries that are proved to be of a log that the primary signed with `note`, as far as they follow those that are held. `within`:
   * a checkpoint in the middle, to be kept for those who ask later. Throws `corrupt` as `receive` does.
   */
  extend(range: ProvedRange, note: string, within?: string): Promise<Verdict> {
    const done = this.#turn.then(() => this.#extend(range, note, within))
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** Puts back entries that were damaged or lost here, of a log of the epoch that is held. */
  mend(range: ProvedRange, epoch: number): Promise<void> {
    const done = this.#turn.then(async () => {
      // What was taken back meanwhile is not wanted.
      if (epoch !== this.head.epoch || range.end > this.head.number) return
      await this.#write(this.#log.operations(range.items, []), true)
    })
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** Of the log that is held. */
  get root(): Uint8Array {
    return this.#frontier.root()
  }

  /** What is to be reached: the newest checkpoint ever accepted, and its note. */
  get target(): Signed | undefined {
    return this.#highest.signed
  }

  /** Entries [start, end) of the log, counted from 0, as they lie here; undefined for each that is damaged or lost. */
  entries(start: number, end: number): Promise<(LogItem | undefined)[]> {
    return this.#log.held(start, end)
  }

  /** The log as it is held, for those who ask for a part of it. */
  get ranges(): RangeLog {
    const tree = () => this.#tree
    return {
      get tree() {
        return tree()
      },
      length: () => this.head.number,
      items: (start, end) => this.#log.items(start, end),
      note: (start, end) => this.#log.lastNote(start, end),
    }
  }

  /** A blob as a repository records it, if it does. */
  held(scope: string, digest: Digest): Promise<Stored | undefined> {
    return this.#rows.held(scope, digest)
  }

  /** Where a digest is recorded. */
  holders(digest: Digest): Promise<{ scope: string; path: string }[]> {
    return this.#rows.holders(digest)
  }

  /** What is held of the log, for proofs. */
  get heldLog(): HeldLog {
    const tree = () => this.#tree
    return {
      get tree() {
        return tree()
      },
      newest: async () => {
        const { number } = this.head
        const note = await this.#log.note(number)
        return note === undefined ? undefined : { number, note }
      },
      entry: async (number) => {
        const item = await this.#log.entry(number)
        return item && 'body' in item ? item : undefined
      },
    }
  }

  tail(after: number, limit: number): Promise<Tail | undefined> {
    return this.#log.tail(after, limit)
  }

  /** Resolves true when the position is applied, false when the time is up. */
  async reached(position: Position, timeoutMs: number): Promise<boolean> {
    const there = () =>
      this.head.epoch > position.epoch || (this.head.epoch === position.epoch && this.head.number >= position.number)
    if (there()) return true
    return new Promise((resolve) => {
      const done = (reached: boolean) => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve(reached)
      }
      const look = () => there() && done(true)
      const timer = setTimeout(() => done(false), timeoutMs)
      this.#waiting.add(look)
    })
  }

  /** The record of a path as soon as there is one; undefined when the time is up. */
  async recorded(scope: string, path: string, timeoutMs: number): Promise<FileRecord | undefined> {
    const endMs = Date.now() + timeoutMs
    for (;;) {
      const { epoch, number } = this.head
      const file = await this.state.file(scope, path)
      const leftMs = endMs - Date.now()
      if (file || leftMs <= 0) return file
      await this.reached({ epoch, number: number + 1 }, leftMs)
    }
  }

  /** Writes all rows again, as the next generation, from the log that is held. */
  rebuild(): void {
    this.#rebuilding ??= this.#rebuild().finally(() => {
      this.#rebuilding = undefined
    })
  }

  /**
   * Held entries as this node may see them now, with bodies that it had not or without those that it had; each must have the leaf
   * of the one it replaces. `reinterpret` comes after the last of them.
   */
  exchange(items: LogItem[]): Promise<void> {
    const done = this.#turn.then(() => this.#log.exchange(items.filter((item) => item.number <= this.head.number)))
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** Writes all rows again, from entries that were exchanged. */
  async reinterpret(): Promise<void> {
    // One that runs may have passed them by.
    await this.rebuilt()
    const done = this.#turn.then(() => this.#replay())
    this.#turn = done.catch(() => undefined)
    await done
  }

  async #receive(items: LogItem[], note: string, live: boolean, beginnings: readonly string[]): Promise<Verdict> {
    await this.#begin(beginnings)
    const { contradiction } = this
    if (contradiction) throw contradictionError(contradiction)
    const checkpoint = this.#verify(note)
    const signed = { checkpoint, note }
    this.#refuseEpoch(checkpoint)
    await this.#refuseContradiction(signed)
    const { number, epoch } = this.head
    // The beginning of an epoch right where this replica is.
    if (checkpoint.number === number && checkpoint.epoch > epoch) {
      await this.#apply([], checkpoint, this.#frontier, [{ number, note }])
      this.#wake()
    }
    if (checkpoint.number <= number) {
      await this.#highest.remember(signed)
      this.#knowledge.hear(checkpoint, live)
      return 'known'
    }
    const fresh = items.filter((item) => item.number > number && item.number <= checkpoint.number)
    if (fresh[0]?.number !== number + 1 || fresh.length !== checkpoint.number - number) {
      await this.#highest.remember(signed)
      return 'behind'
    }
    const { frontier, roots } = this.#extended(fresh)
    if (Buffer.compare(frontier.root(), checkpoint.root) !== 0) {
      // Whoever sent it may have altered it: it is evidence against nobody.
      const sentence = `Changes up to ${checkpoint.number} do not lead to the root that the primary signed`
      this.#options.onAlarm(sentence)
      throw new RegistryError('corrupt', sentence)
    }
    await this.#refuseUncontained(signed, roots)
    await this.#apply(fresh, checkpoint, frontier, [{ number: checkpoint.number, note }])
    await this.#arrive(signed, live)
    return 'applied'
  }

  async #extend(range: ProvedRange, note: string, within: string | undefined): Promise<Verdict> {
    const { contradiction } = this
    if (contradiction) throw contradictionError(contradiction)
    const checkpoint = this.#verify(note)
    const { log, start, end, before, items, leaves } = range
    if (log.length !== checkpoint.number || Buffer.compare(log.root, checkpoint.root) !== 0)
      throw new RegistryError('corrupt', 'These entries were proved to be of another log')
    this.#refuseEpoch(checkpoint)
    await this.#refuseContradiction({ checkpoint, note })
    const { number } = this.head
    if (end <= number) return 'known'
    if (start > number) return 'behind'
    if (!this.#frontier.begins(before))
      await this.#accuse(
        { checkpoint, note },
        `A log of ${log.length} is signed that does not contain one of ${number}`,
      )
    const frontier = Frontier.fromJSON(this.#frontier.toJSON())
    const landmarks = new Set(this.#landmarks.map((one) => one.number))
    const roots = new Map<number, Uint8Array>()
    const inner = this.#signed(within)
    const notes: StoredNote[] = []
    for (const leaf of leaves.slice(number - start)) {
      frontier.append(leaf)
      if (landmarks.has(frontier.size)) roots.set(frontier.size, frontier.root())
      if (frontier.size !== inner?.number || inner.epoch !== checkpoint.epoch) continue
      if (Buffer.compare(frontier.root(), inner.root) !== 0)
        await this.#accuse(
          { checkpoint: inner, note: within ?? '' },
          `Two different logs of length ${inner.number} are signed: the log was forked`,
        )
      notes.push({ number: inner.number, note: within ?? '' })
    }
    await this.#refuseUncontained({ checkpoint, note }, roots)
    const isWhole = end === log.length
    if (isWhole) notes.push({ number: end, note })
    await this.#apply(items.slice(number - start), { epoch: checkpoint.epoch, number: end }, frontier, notes, isWhole)
    if (isWhole) await this.#arrive({ checkpoint, note }, false)
    else this.#wake()
    return 'applied'
  }

  async #arrive(signed: Signed, live: boolean): Promise<void> {
    await this.#highest.remember(signed)
    this.#knowledge.hear(signed.checkpoint, live)
    this.#wake()
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look()
  }

  /** What anybody may have put there is no more than nothing. */
  #signed(note: string | undefined): Checkpoint | undefined {
    try {
      return note === undefined ? undefined : this.#verify(note)
    } catch {
      return undefined
    }
  }

  #verify(note: string): Checkpoint {
    return verifyCheckpoint(note, this.#options.fleet, this.#options.publicKey)
  }

  async #refuseUncontained(signed: Signed, roots: ReadonlyMap<number, Uint8Array>): Promise<void> {
    const { number } = signed.checkpoint
    for (const one of this.#landmarks) {
      const passed = roots.get(one.number)
      if (passed && Buffer.compare(passed, one.root) !== 0)
        await this.#accuse(signed, `A log of ${number} is signed that does not contain one of ${one.number}`)
    }
  }

  /** What the log must contain: the highest checkpoint, and the beginnings of epochs. */
  get #landmarks(): Checkpoint[] {
    const begun = this.#epochs.beginnings.map(({ checkpoint }) => checkpoint)
    return this.highest ? [this.highest, ...begun] : begun
  }

  /** The tree with more entries, and its roots where it passes landmarks. */
  #extended(items: LogItem[]): { frontier: Frontier; roots: Map<number, Uint8Array> } {
    const frontier = Frontier.fromJSON(this.#frontier.toJSON())
    const landmarks = new Set(this.#landmarks.map(({ number }) => number))
    const roots = new Map<number, Uint8Array>()
    for (const item of items) {
      frontier.append(leafOf(item))
      if (landmarks.has(frontier.size)) roots.set(frontier.size, frontier.root())
    }
    return { frontier, roots }
  }

  /** Follows the epochs that the recovery key began. Throws `corrupt` for any other; nothing changes. */
  async #begin(notes: readonly string[]): Promise<void> {
    for (const note of notes) {
      const beginning = this.#proved(note)
      if (!beginning) continue
      await this.#refuseOther(beginning)
      await this.#epochs.follow(beginning)
      await this.#follow()
      await this.#evidence.settle()
      const { epoch, number } = beginning.checkpoint
      this.#options.onAlarm(`The recovery key began epoch ${epoch}: the log goes on from change ${number}`)
    }
  }

  #proved(note: string): Beginning | undefined {
    try {
      return this.#epochs.prove(note)
    } catch (error) {
      if (error instanceof RegistryError) this.#options.onAlarm(error.message)
      throw error
    }
  }

  /** What is kept of the log must be what is held of it. */
  async #refuseOther({ checkpoint }: Beginning): Promise<void> {
    const sentence = await this.#contradictsHeld(checkpoint)
    if (sentence === undefined) return
    const other = `Epoch ${checkpoint.epoch} goes on from another log than the one that is held here`
    this.#options.onAlarm(other)
    throw new RegistryError('corrupt', other)
  }

  /** Is where the newest beginning says that it has to be; also after a crash on the way there. */
  async #follow(): Promise<void> {
    const newest = this.#epochs.beginnings.at(-1)
    if (!newest) return
    const kept = keptOf(this.#stand.epoch, this.#epochs.beginnings)
    if (kept && kept.checkpoint.number < this.#stand.number) await this.#takeBack(kept)
    await this.#highest.remember(newest)
  }

  /** Everything beyond a beginning, in one step. */
  async #takeBack({ checkpoint, note }: Beginning): Promise<void> {
    const beyond = await this.#log.beyond(checkpoint.number)
    await keepTakenBack(this.#options.dir, checkpoint, beyond)
    await this.#replay({ ...checkpoint, note, operations: beyond.operations })
    this.#tree = new LogTree((start, end) => this.#log.leaves(start, end))
    for (const look of [...this.#waiting]) look()
  }

  #refuseEpoch({ epoch, number }: Checkpoint): void {
    const kept = keptOf(epoch, this.#epochs.beginnings)?.checkpoint.number
    const sentence =
      epoch > this.#epochs.current
        ? `A checkpoint of epoch ${epoch} was offered, which the recovery key did not begin`
        : kept !== undefined && number > kept
          ? `A checkpoint of the ended epoch ${epoch} was offered`
          : undefined
    if (sentence === undefined) return
    this.#options.onAlarm(sentence)
    throw new RegistryError('corrupt', sentence)
  }

  async #refuseContradiction(signed: Signed): Promise<void> {
    const { highest } = this
    const { checkpoint } = signed
    if (!highest) return
    const sentence = contradicts(checkpoint, highest) ?? (await this.#contradictsHeld(checkpoint))
    if (sentence !== undefined) await this.#accuse(signed, sentence)
  }

  /** Is a shorter log, as it was signed, how the held one begins. */
  async #contradictsHeld({ number, root }: Checkpoint): Promise<string | undefined> {
    const { head } = this
    if (number > head.number || number === 0) return undefined
    // One whose entries are damaged here is judged when they are there again.
    const held = await (number === head.number ? this.#frontier.root() : this.#tree.root(number).catch(() => undefined))
    return held === undefined || Buffer.compare(held, root) === 0
      ? undefined
      : `Two different logs of length ${number} are signed: the log was forked`
  }

  /** Keeps both notes, and throws. */
  async #accuse({ note }: Signed, sentence: string): Promise<never> {
    const notes: Contradiction['notes'] = [this.#highest.signed?.note ?? '', note]
    await this.#evidence.keep({ sentence, notes, at: new Date().toISOString() })
    this.#options.onAlarm(sentence)
    throw contradictionError({ sentence })
  }

  /** `sync`: on disk for good when it returns; else with what is synced next, or neither. */
  async #apply(
    items: readonly LogItem[],
    { epoch, number }: Position,
    frontier: Frontier,
    notes: StoredNote[],
    sync = true,
  ): Promise<void> {
    const changes = visible(items)
    const { operations, grown } = await this.#reduce(this.#rows, changes)
    const stand = {
      ...this.#stand,
      number,
      epoch,
      frontier: frontier.toJSON(),
      rows: this.#stand.rows + grown,
    }
    operations.push(...this.#log.operations(items, notes), standOperation(stand))
    await this.#learn(changes)
    failpoint('before-apply')
    await this.#write(operations, sync)
    failpoint('applied')
    this.#stand = stand
    this.#frontier = frontier
    this.state.note(changes, { epoch, number })
  }

  async #learn(changes: { change: Change }[]): Promise<void> {
    for (const { change } of changes)
      if (change.kind === 'access' && change.subject === 'recovery' && change.record)
        await this.#epochs.learn(change.record)
  }

  async #write(operations: Operation[], sync: boolean): Promise<void> {
    try {
      await this.#db.batch(operations, { sync })
    } catch (error) {
      if (isDamage(error)) this.rebuild()
      throw error
    }
  }

  async #reduce(
    rows: LevelRows,
    changes: { change: Change; number: number }[],
  ): Promise<{ operations: Operation[]; grown: number }> {
    const batch = new Batch(rows)
    for (const change of changes) batch.accept(await batch.add([change]))
    let grown = 0
    for (const { key, value } of batch.final)
      grown += Number(value !== undefined) - Number((await rows.get(key)) !== undefined)
    return { operations: rows.operations(batch.final), grown }
  }

  async #rebuild(): Promise<void> {
    const done = this.#turn.then(() => this.#replayOrStartOver())
    this.#turn = done.catch(() => undefined)
    await done.catch((error: unknown) =>
      this.#options.onAlarm(`Records could not be rebuilt: ${error instanceof Error ? error.message : String(error)}`),
    )
  }

  /** From the log that is held; when not even that can be read, from nothing. */
  async #replayOrStartOver(): Promise<void> {
    this.#options.onAlarm('A record was damaged or lost; all records are rebuilt from the log')
    try {
      await this.#replay()
    } catch (error) {
      if (!isDamage(error)) throw error
      await this.#db.close()
      this.#db = await startOver(recordsIn(this.#options.dir), this.#options.onAlarm)
      this.#log = new LogStore(this.#db)
      this.#rows = new LevelRows(this.#db, `g${NOTHING.generation}`, () => this.rebuild())
      this.#stand = NOTHING
      this.#frontier = new Frontier()
      await this.#show(NOTHING)
    }
  }

  /** Replays the held log as far as it is sound, or to an end; the rest is fetched again like any missing tail. */
  async #replay(end?: ReplayEnd): Promise<void> {
    const generation = this.#stand.generation + 1
    const rows = new LevelRows(this.#db, `g${generation}`, () => this.rebuild())
    await rows.clear()
    let stand: Stand = { generation, number: 0, epoch: this.#stand.epoch, frontier: new Frontier().toJSON(), rows: 0 }
    let frontier = new Frontier()
    while (!this.#stop.signal.aborted) {
      const tail = await this.#log.tail(stand.number, REPLAY_PAGE, end)
      const next = tail && this.#verified(tail, frontier)
      if (!tail || !next) break
      const { operations, grown } = await this.#reduce(rows, visible(tail.items))
      frontier = next.frontier
      stand = {
        ...stand,
        number: next.checkpoint.number,
        epoch: next.checkpoint.epoch,
        frontier: frontier.toJSON(),
        rows: stand.rows + grown,
      }
      await this.#db.batch(operations)
    }
    if (this.#stop.signal.aborted) return
    const isThere = stand.number === end?.number
    if (isThere) stand = { ...stand, epoch: end.epoch }
    const noted = isThere ? this.#log.operations([], [end]) : []
    await this.#db.batch([...(end?.operations ?? []), ...noted, standOperation(stand)], { sync: true })
    const before = this.#rows
    this.#rows = rows
    this.#stand = stand
    this.#frontier = frontier
    await this.#show(stand)
    await before.clear()
  }

  /** Reads go to the rows as they are now. */
  async #show({ epoch, number }: Position): Promise<void> {
    const { over = (own) => own } = this.#options
    await this.state.replace(over(this.#rows), { epoch, number })
  }

  #verified(tail: Tail, before: Frontier): { checkpoint: Checkpoint; frontier: Frontier } | undefined {
    const checkpoint = this.#verify(tail.note)
    const frontier = Frontier.fromJSON(before.toJSON())
    for (const item of tail.items) frontier.append(leafOf(item))
    return Buffer.compare(frontier.root(), checkpoint.root) === 0 ? { checkpoint, frontier } : undefined
  }
}

interface ReplayEnd extends Position {
  /** Of that length. */
  note: string
  /** That are to be written with the new rows. */
  operations: Operation[]
}

const NO_ROWS: Rows = {
  get: async () => undefined,
  async *scan() {},
}

function recordsIn(dir: string): string {
  return join(dir, 'records')
}

/** How far a database is; undefined when that is lost, and with it the meaning of all rows. */
async function readStand(db: Database): Promise<Stand | undefined> {
  try {
    const text = await db.get(STAND)
    const known = unseal(STAND, text)
    if (known !== undefined) return JSON.parse(known) as Stand
    for await (const _ of db.keys({ limit: 1 })) return undefined
    return NOTHING
  } catch (error) {
    if (isDamage(error)) return undefined
    throw error
  }
}

function visible(items: readonly LogItem[]): { change: Change; number: number }[] {
  return items.flatMap((item) => ('leaf' in item ? [] : [{ number: item.number, change: decodeChange(item.body) }]))
}

function standOperation(stand: Stand): Operation {
  return { type: 'put', key: STAND, value: seal(STAND, JSON.stringify(stand)) }
}
