/**
 * A hosted or remote repository seen through rules: its own, and those of the virtual repositories on the way to it. What may not be
 * used is left out of everything that lists, and refused (`forbidden`, with the reason) where it is asked for by its name: a refusal
 * stops a client, while "not found" makes it look elsewhere. Cooldowns are for what upstreams publish, not for what is published here.
 */
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import type { Grammar } from '../format.js'
import type { Bytes, Page } from '../ports.js'
import type { FileRecord, Held, Package, RepositoryRecord, Version } from '../records.js'
import type { Freshness, Single, Writable } from '../repository.js'
import type { Judged, Refusal, Screen } from '../rules/screen.js'
import type { Arrival } from './arrival.js'
import { UNKNOWN } from './recorded.js'

/** What is left of a package. */
interface Tally {
  /** Of what it was counted in. */
  stamp: string
  allowed: number
  hidden: number
  /** When the next version comes of age. */
  untilMs: number
}

const REMEMBERED = 20_000

export class Screened implements Single {
  readonly key: string
  readonly record: RepositoryRecord
  readonly #inner: Single
  readonly #screens: readonly Screen[]
  readonly #grammar: Grammar
  readonly #nowMs: () => number
  readonly #tallies = new LRUCache<string, Tally>({ max: REMEMBERED })

  constructor(inner: Single, screens: readonly Screen[], grammar: Grammar, nowMs: () => number) {
    this.key = inner.key
    this.record = inner.record
    this.#inner = inner
    this.#screens = screens
    this.#grammar = grammar
    this.#nowMs = nowMs
  }

  get target(): Writable | undefined {
    return this.#inner.target
  }

  /** Also of the rules, and of how many versions they hide now: equal wherever the same is hidden. */
  stamp(name: string): string | Promise<string> {
    if (this.reserves(name)) return UNKNOWN
    const stamp = this.#inner.stamp(name)
    if (!this.#concerns(name)) return stamp
    return typeof stamp === 'string' ? this.#marked(name, stamp) : stamp.then((known) => this.#marked(name, known))
  }

  async package(name: string): Promise<Package | undefined> {
    const found = this.reserves(name) ? undefined : await this.#inner.package(name)
    if (!found || !this.#concerns(name)) return found
    const stamp = await this.#inner.stamp(name)
    const { allowed } = this.#tally(name, stamp) ?? (await this.#count(name, stamp))
    return { ...found, versions: allowed }
  }

  packages(page: Page): Promise<Package[]> {
    return fill(
      page,
      (next) => this.#inner.packages(next),
      ({ name }) => name,
      async ({ name }) => ((await this.package(name))?.versions ?? 0) > 0,
    )
  }

  /** When there are some and none may be used, it ends with why. */
  async *versions(name: string): AsyncIterable<Version> {
    if (this.reserves(name)) return
    let first: Refusal | undefined
    let isAnyAllowed = false
    for await (const version of this.#inner.versions(name)) {
      const refusal = this.judge(version)
      first ??= refusal
      if (refusal) continue
      isAnyAllowed = true
      yield version
    }
    if (first && !isAnyAllowed) throw errorOf(first)
  }

  async version(name: string, version: string): Promise<Version | undefined> {
    const found = this.reserves(name) ? undefined : await this.#inner.version(name, version)
    if (found) this.#refuse(found)
    return found
  }

  async tags(name: string): Promise<Record<string, string>> {
    if (this.reserves(name)) return {}
    const tags = await this.#inner.tags(name)
    if (!this.#concerns(name)) return tags
    const allowed: [string, string][] = []
    for (const [tag, version] of Object.entries(tags)) {
      const named = (await this.#isRefused(name, version)) ? await this.#newest(name, tag, version) : version
      if (named !== undefined) allowed.push([tag, named])
    }
    return Object.fromEntries(allowed)
  }

  async tag(name: string, tag: string): Promise<string | undefined> {
    const version = this.reserves(name) ? undefined : await this.#inner.tag(name, tag)
    if (version === undefined || !(await this.#isRefused(name, version))) return version
    const newest = await this.#newest(name, tag, version)
    if (newest === undefined) this.#refuse(await this.#judged(name, version))
    return newest
  }

  async file(path: string): Promise<FileRecord | undefined> {
    const judged = await this.#admit(path)
    return judged && this.#whole(path, judged)
  }

  async arrive(path: string): Promise<FileRecord | Arrival | undefined> {
    const judged = await this.#admit(path)
    if (!judged) return undefined
    const found = this.#isJudgedWhole(judged) ? await this.#inner.arrive?.(path) : undefined
    return found && !('digest' in found) ? found : this.#whole(path, judged)
  }

  freshness(name: string): Freshness | undefined {
    return this.#inner.freshness?.(name)
  }

  async renew(name: string): Promise<Freshness | undefined> {
    return this.reserves(name) ? undefined : this.#inner.renew?.(name)
  }

  packageOf(path: string): string | undefined {
    return this.#inner.packageOf?.(path)
  }

  files(page: Page): Promise<FileRecord[]> {
    return fill(
      page,
      (next) => this.#inner.files(next),
      ({ path }) => path,
      async (file) => !this.reserves(file.package) && !this.judge(await this.#judgedOf(file)),
    )
  }

  held(): Single {
    return new Screened(this.#inner.held(), this.#screens, this.#grammar, this.#nowMs)
  }

  open(file: Held): Promise<Bytes> {
    return this.#inner.open(file)
  }

  owner(path: string): Promise<Pick<Version, 'package' | 'version'> | undefined> {
    return this.#inner.owner(path)
  }

  recorded(name: string, version: string): Promise<Version | undefined> {
    return this.#inner.recorded(name, version)
  }

  reserves(name: string): boolean {
    return this.record.type === 'remote' && this.#screens.some((screen) => screen.reserves(name))
  }

  judge(judged: Judged): Refusal | undefined {
    for (const screen of this.#screens) {
      const refusal = screen.block(judged) ?? (this.#cools ? screen.cooldown(judged, this.#nowMs()) : undefined)
      if (refusal) return refusal
    }
    return undefined
  }

  /** Is a recorded file blocked, whatever its age. */
  async blocks(file: FileRecord): Promise<boolean> {
    const judged = await this.#judgedOf(file)
    return this.#screens.some((screen) => screen.block(judged) !== undefined)
  }

  get #cools(): boolean {
    return this.record.type === 'remote'
  }

  #concerns(name: string): boolean {
    return this.#screens.some((screen) => screen.concerns(name))
  }

  #refuse(judged: Judged): void {
    const refusal = this.judge(judged)
    if (refusal) throw errorOf(refusal)
  }

  async #isRefused(name: string, version: string): Promise<boolean> {
    return this.judge(await this.#judged(name, version)) !== undefined
  }

  /** undefined: no file can have the path. What is known of its version; refused if that is enough to. */
  async #admit(path: string): Promise<Judged | undefined> {
    const name = this.packageOf(path)
    const owner = name !== undefined && this.reserves(name) ? undefined : await this.#inner.owner(path)
    if (!owner) return undefined
    const judged = await this.#judged(owner.package, owner.version)
    this.#refuse(judged)
    return judged
  }

  /** Refused by what is known once all of it is here: its digest, and of what was never listed, since when. */
  async #whole(path: string, judged: Judged): Promise<FileRecord | undefined> {
    const file = await this.#inner.file(path)
    if (file) this.#refuse({ ...judged, publishedAt: judged.publishedAt || file.publishedAt, files: [file] })
    return file
  }

  #isJudgedWhole(judged: Judged): boolean {
    const isPromised = judged.files.every((file) => !('offered' in file) || file.promised?.sha256 !== undefined)
    return this.#screens.every(
      (screen) =>
        (judged.publishedAt !== '' || !this.#cools || !screen.asksAge(judged)) &&
        ((judged.files.length > 0 && isPromised) || !screen.asksDigests(judged.package)),
    )
  }

  async #judged(name: string, version: string): Promise<Judged> {
    const recorded = await this.#inner.recorded(name, version)
    return recorded ?? { package: name, version, publishedAt: '', files: [], meta: '' }
  }

  async #judgedOf(file: FileRecord): Promise<Judged> {
    const judged = await this.#judged(file.package, file.version)
    const { publishedAt } = judged
    return { ...judged, publishedAt: publishedAt || file.publishedAt, files: [...judged.files, file] }
  }

  /** What the ecosystem's tag for the newest version names instead: the newest one before, or of all when there is none. */
  async #newest(name: string, tag: string, hidden: string): Promise<string | undefined> {
    const { newest, compare } = this.#grammar
    if (tag !== newest?.tag) return undefined
    const allowed: string[] = []
    for await (const version of this.#inner.versions(name)) if (!this.judge(version)) allowed.push(version.version)
    return newest.of(allowed.filter((version) => (compare?.(version, hidden) ?? 0) < 0)) ?? newest.of(allowed)
  }

  #marked(name: string, stamp: string): string | Promise<string> {
    if (stamp === UNKNOWN) return stamp
    const known = this.#tally(name, stamp)
    return known ? this.#mark(known) : this.#count(name, stamp).then((tally) => this.#mark(tally))
  }

  #mark({ stamp, hidden }: Tally): string {
    return `${stamp}~${this.#screens.map(({ digest }) => digest).join('~')}.${hidden}`
  }

  #tally(name: string, stamp: string): Tally | undefined {
    const known = this.#tallies.get(name)
    return known?.stamp === stamp && this.#nowMs() < known.untilMs ? known : undefined
  }

  async #count(name: string, stamp: string): Promise<Tally> {
    const tally: Tally = { stamp, allowed: 0, hidden: 0, untilMs: Number.POSITIVE_INFINITY }
    for await (const version of this.#inner.versions(name)) {
      const refusal = this.judge(version)
      if (refusal) tally.hidden++
      else tally.allowed++
      tally.untilMs = Math.min(tally.untilMs, refusal?.untilMs ?? Number.POSITIVE_INFINITY)
    }
    this.#tallies.set(name, tally)
    return tally
  }
}

function errorOf({ rule, reason }: Refusal): RegistryError {
  return new RegistryError('forbidden', reason, { code: rule })
}

/** A page of what may be seen, as long as one of everything would be. */
async function fill<T>(
  page: Page,
  read: (page: Page) => Promise<T[]>,
  name: (entry: T) => string,
  keep: (entry: T) => Promise<boolean>,
): Promise<T[]> {
  const kept: T[] = []
  let next = page
  for (;;) {
    const found = await read(next)
    for (const entry of found) {
      if (!(await keep(entry))) continue
      kept.push(entry)
      if (kept.length === page.limit) return kept
    }
    const last = found.at(-1)
    if (last === undefined || found.length < next.limit) return kept
    next = { ...page, after: name(last) }
  }
}
