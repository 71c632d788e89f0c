/** Grants by the subject that they speak of, so that a decision looks at a principal's own and not at everybody's. */
import { matches } from '../glob.js'
import type { Principal } from '../ports.js'
import type { Action, GrantRecord } from '../records.js'

export class GrantIndex {
  readonly #bySubject = new Map<string, GrantRecord[]>()

  constructor(grants: Iterable<GrantRecord>) {
    for (const grant of grants) {
      const key = subjectKey(grant.subject.kind, grant.subject.name)
      const list = this.#bySubject.get(key)
      if (list) list.push(grant)
      else this.#bySubject.set(key, [grant])
    }
  }

  /** Those of the principal, its groups and its token, for a repository; with `action`, only those that include it. */
  of(principal: Principal, repository: string, action?: Action): GrantRecord[] {
    return subjects(principal)
      .flatMap((key) => this.#bySubject.get(key) ?? [])
      .filter((grant) => matches(grant.repository, repository) && (action === undefined || grants(grant, action)))
  }
}

/** Is the path below the grant's prefix. The slash at the beginning of either does not count. */
export function grantCovers(grant: GrantRecord, path: string): boolean {
  return grant.path === '' || bare(path).startsWith(bare(grant.path))
}

function grants(grant: GrantRecord, action: Action): boolean {
  return grant.actions.includes(action) || grant.actions.includes('admin')
}

function subjects({ name, user, token }: Principal): string[] {
  const groups = user?.groups.map((group) => subjectKey('group', group)) ?? []
  return [subjectKey('user', name), ...groups, ...(token ? [subjectKey('token', token.id)] : [])]
}

function subjectKey(kind: string, name: string): string {
  return `${kind}\0${name}`
}

function bare(path: string): string {
  return path.startsWith('/') ? path.slice(1) : path
}
