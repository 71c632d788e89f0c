/**
 * Grants by their subject and repository, so that a decision looks at those that concern it and not at everybody's, and a grant that
 * comes or goes costs no more than its own place.
 */
import { matches } from '../glob.js'
import type { GrantRecord, Subject } from '../records.js'

interface OfSubject {
  /** By the repository key that they name. */
  exact: Map<string, GrantRecord[]>
  /** Those with a "*". */
  patterns: GrantRecord[]
}

export class GrantIndex {
  readonly #bySubject: Record<Subject['kind'], Map<string, OfSubject>> = {
    user: new Map(),
    group: new Map(),
    token: new Map(),
  }

  /** Takes `before` out and puts `after` in. */
  replace(before: GrantRecord | undefined, after: GrantRecord | null): void {
    if (before) this.#remove(before)
    if (after) this.#add(after)
  }

  /** Those to the subject whose pattern matches a repository's key. */
  of({ kind, name }: Subject, repository: string): readonly GrantRecord[] {
    const grants = this.#bySubject[kind].get(name)
    if (!grants) return NONE
    const exact = grants.exact.get(repository) ?? NONE
    if (grants.patterns.length === 0) return exact
    const patterns = grants.patterns.filter((grant) => matches(grant.repository, repository))
    return patterns.length === 0 ? exact : [...exact, ...patterns]
  }

  #add(grant: GrantRecord): void {
    const { kind, name } = grant.subject
    const grants: OfSubject = this.#bySubject[kind].get(name) ?? { exact: new Map(), patterns: [] }
    this.#bySubject[kind].set(name, grants)
    if (grant.repository.includes('*')) grants.patterns.push(grant)
    else grants.exact.set(grant.repository, [...(grants.exact.get(grant.repository) ?? []), grant])
  }

  #remove(grant: GrantRecord): void {
    const { kind, name } = grant.subject
    const grants = this.#bySubject[kind].get(name)
    if (!grants) return
    const others = (list: readonly GrantRecord[]) => list.filter(({ id }) => id !== grant.id)
    if (grant.repository.includes('*')) grants.patterns = others(grants.patterns)
    else {
      const left = others(grants.exact.get(grant.repository) ?? [])
      if (left.length > 0) grants.exact.set(grant.repository, left)
      else grants.exact.delete(grant.repository)
    }
    if (grants.exact.size === 0 && grants.patterns.length === 0) this.#bySubject[kind].delete(name)
  }
}

const NONE: readonly GrantRecord[] = []
