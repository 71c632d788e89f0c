/**
 * One repository's rules, ready to be asked: what must not be looked up elsewhere, and what must not be used yet or at all. It knows
 * neither a clock nor where versions are; the ecosystem's names and versions it compares by the grammar that it is given.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import type { Grammar } from '../format.js'
import { matches } from '../glob.js'
import type { Block, File, Rules } from '../records.js'
import { namesLicence } from './licence.js'
import { parseRange, type Range } from './range.js'

/** A version as rules see it. */
export interface Judged {
  package: string
  version: string
  /** ISO 8601; '' where nobody knows it yet. */
  publishedAt: string
  files: readonly File[]
  meta: string
}

export interface Refusal {
  rule: 'blocked' | 'cooldown'
  /** One sentence. */
  reason: string
  /** When it may be used; of a cooldown only. */
  untilMs?: number
}

interface Blocking extends Block {
  includes: Range
}

interface Exception {
  name: string
  includes: Range
}

/** What the rules say about all versions of a name. */
interface About {
  blocks: Blocking[]
  exceptions: Exception[]
  reserved: boolean
  merged: boolean
}

const REMEMBERED = 20_000
const DAY_MS = 86_400_000
const EVERY: Range = () => true

export class Screen {
  /** Differs between rules that differ, and between repositories. */
  readonly digest: string
  readonly #key: string
  readonly #rules: Rules
  readonly #grammar: Grammar
  readonly #blocks: Blocking[]
  readonly #exceptions: Exception[]
  readonly #about = new LRUCache<string, About>({ max: REMEMBERED })

  /** Throws `invalid` for a rule that cannot be understood. */
  constructor(key: string, rules: Rules, grammar: Grammar = {}) {
    this.#key = key
    this.#rules = rules
    this.#grammar = grammar
    this.digest = createHash('sha256')
      .update(JSON.stringify([key, rules]))
      .digest('base64url')
      .slice(0, 8)
    this.#blocks = rules.blocked.map((block) => ({
      ...block,
      includes: block.versions === undefined ? EVERY : parseRange(block.versions, grammar),
    }))
    this.#exceptions = rules.cooldownExceptions.map((text) => parseException(text, grammar))
  }

  /** Is it never looked up at an upstream. */
  reserves(name: string): boolean {
    return this.#of(name).reserved
  }

  /** Do all members of a virtual repository show their versions of it. */
  merges(name: string): boolean {
    return this.#of(name).merged
  }

  /** May any version of it be refused. */
  concerns(name: string): boolean {
    return this.#rules.cooldownDays > 0 || this.#of(name).blocks.length > 0
  }

  /** Does any rule need to know what a file's bytes are. */
  asksDigests(name: string): boolean {
    return this.#of(name).blocks.some(({ digest }) => digest !== undefined)
  }

  /** Does the version's age matter. */
  asksAge({ package: name, version }: Pick<Judged, 'package' | 'version'>): boolean {
    return this.#rules.cooldownDays > 0 && !this.#of(name).exceptions.some(({ includes }) => includes(version))
  }

  block(judged: Judged): Refusal | undefined {
    const found = this.#of(judged.package).blocks.find((block) => this.#hits(block, judged))
    return found && { rule: 'blocked', reason: `${label(judged)} is blocked in ${this.#key}: ${found.reason}` }
  }

  /** What nobody knows the age of is not refused for it: `publishedAt` is ''. */
  cooldown(judged: Judged, nowMs: number): Refusal | undefined {
    const { cooldownDays } = this.#rules
    if (judged.publishedAt === '' || !this.asksAge(judged)) return undefined
    const publishedMs = Date.parse(judged.publishedAt)
    const untilMs = publishedMs + cooldownDays * DAY_MS
    if (nowMs >= untilMs) return undefined
    const [from, until] = [minute(publishedMs), minute(untilMs)]
    const reason = `${label(judged)} is of ${from} and may be used from ${until} on: ${this.#key} waits ${days(cooldownDays)}`
    return { rule: 'cooldown', reason, untilMs }
  }

  #hits({ includes, digest, licence }: Blocking, { version, files, meta }: Judged): boolean {
    if (!includes(version)) return false
    if (digest !== undefined && !files.some((file) => digestOf(file) === digest)) return false
    return licence === undefined || namesLicence(licence, this.#grammar.licence?.(meta) ?? '')
  }

  #of(name: string): About {
    const known = this.#about.get(name)
    if (known) return known
    const is = (glob: string | undefined) => glob === undefined || this.#names(glob, name)
    const about = {
      blocks: this.#blocks.filter((block) => is(block.name)),
      exceptions: this.#exceptions.filter((exception) => is(exception.name)),
      reserved: this.#rules.reservedNames.some(is),
      merged: this.#rules.mergedNames.some(is),
    }
    this.#about.set(name, about)
    return about
  }

  /** In any case of letters: upstreams differ about it, and a name must not slip through. */
  #names(glob: string, name: string): boolean {
    const { name: spelled = (text: string) => text } = this.#grammar
    return matches(spelled(glob).toLowerCase(), spelled(name).toLowerCase())
  }
}

/** `name` or `name@versions`; a scope's own '@' comes first. */
function parseException(text: string, grammar: Grammar): Exception {
  const at = text.indexOf('@', 1)
  const name = at < 0 ? text : text.slice(0, at)
  if (name.trim() !== name || name === '')
    throw new RegistryError('invalid', `${JSON.stringify(text)} is no name, or name@versions`, { code: 'rule_invalid' })
  return { name, includes: at < 0 ? EVERY : parseRange(text.slice(at + 1), grammar) }
}

function digestOf(file: File): string | undefined {
  return 'offered' in file ? file.promised?.sha256 : file.digest
}

function label({ package: name, version }: Judged): string {
  return version === '' ? name : `${name}@${version}`
}

function minute(ms: number): string {
  return Number.isNaN(ms) ? 'an unknown day' : `${new Date(ms).toISOString().slice(0, 16)}Z`
}

function days(count: number): string {
  return count === 1 ? 'a day' : `${count} days`
}
