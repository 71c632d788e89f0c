/**
 * The repositories behind a record: itself, or the members of a virtual one and of those below it, in order, each seen through the
 * rules that lie on the way to it. Where there are no rules there is nothing in between.
 */
import { LRUCache } from 'lru-cache'
import type { Grammar } from './format.js'
import { Screened } from './kinds/screened.js'
import type { Metadata } from './ports.js'
import type { RepositoryRecord, Rules } from './records.js'
import type { Single } from './repository.js'
import { Screen } from './rules/screen.js'

export interface Member {
  record: RepositoryRecord
  repository: Single
}

export interface MembersOptions {
  metadata: Pick<Metadata, 'repository'>
  /** The repository of a record that is not virtual. */
  open: (record: RepositoryRecord) => Single
  grammar: (record: RepositoryRecord) => Grammar | undefined
  nowMs: () => number
}

interface Opened {
  record: RepositoryRecord
  repository: Single
  /** Seen through rules, by their digests. */
  screened: LRUCache<string, Single>
}

/** Sets of rules through which one repository is seen, those of times gone by included. */
const VIEWS = 64

export class Members {
  readonly #options: MembersOptions
  readonly #opened = new Map<string, Opened>()
  readonly #screens = new WeakMap<Rules, Screen>()

  constructor(options: MembersOptions) {
    this.#options = options
  }

  /** Of a record that is not virtual. */
  single(record: RepositoryRecord): Single {
    return this.#seen(record, this.#screensOf(record))
  }

  of(record: RepositoryRecord): Member[] {
    const leaves = this.#leaves(record, [], new Set())
    return leaves.map((leaf) => ({ record: leaf.record, repository: this.#seen(leaf.record, leaf.screens) }))
  }

  /** Does a virtual repository show all members' versions of a name. */
  merges(record: RepositoryRecord, name: string): boolean {
    return this.#screensOf(record).some((screen) => screen.merges(name))
  }

  #leaves(
    record: RepositoryRecord,
    above: Screen[],
    seen: Set<string>,
  ): { record: RepositoryRecord; screens: Screen[] }[] {
    const screens = [...above, ...this.#screensOf(record)]
    if (record.type !== 'virtual') return [{ record, screens }]
    return record.members.flatMap((key) => {
      const member = this.#options.metadata.repository(key)
      if (!member || seen.has(key)) return []
      seen.add(key)
      return this.#leaves(member, screens, seen)
    })
  }

  #seen(record: RepositoryRecord, screens: Screen[]): Single {
    const { repository, screened } = this.#open(record)
    if (screens.length === 0) return repository
    const digests = screens.map(({ digest }) => digest).join()
    const known = screened.get(digests)
    if (known) return known
    const made = new Screened(repository, screens, this.#options.grammar(record) ?? {}, this.#options.nowMs)
    screened.set(digests, made)
    return made
  }

  #open(record: RepositoryRecord): Opened {
    const known = this.#opened.get(record.scope)
    if (known?.record === record) return known
    const opened = {
      record,
      repository: this.#options.open(record),
      screened: new LRUCache<string, Single>({ max: VIEWS }),
    }
    this.#opened.set(record.scope, opened)
    return opened
  }

  #screensOf(record: RepositoryRecord): Screen[] {
    const { rules } = record
    if (!rules) return []
    const screen = this.#screens.get(rules) ?? new Screen(record.key, rules, this.#options.grammar(record))
    this.#screens.set(rules, screen)
    return [screen]
  }
}
