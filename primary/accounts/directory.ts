/** What the parts of accounts share: the replicated records, the way to change them, and one turn for all who do. */
import type { Ledger } from '../../protocol/ledger.js'
import type { Metadata } from '../../protocol/ports.js'
import {
  type AccessKind,
  type AccessRecords,
  FLEET,
  type GroupRecord,
  type Position,
  type ProjectRecord,
  type RepositoryRecord,
  type RoleRecord,
  type Step,
  type TokenRecord,
  type UserRecord,
} from '../../protocol/records.js'
import { Turn } from './turn.js'

export class Directory {
  /** Whoever checks something before writing runs inside. */
  readonly turn = new Turn()
  readonly #metadata: Metadata
  readonly #ledger: Ledger

  constructor(metadata: Metadata, ledger: Ledger) {
    this.#metadata = metadata
    this.#ledger = ledger
  }

  user(name: string): UserRecord | undefined {
    return this.#metadata.access('user', name)
  }

  token(id: string): TokenRecord | undefined {
    return this.#metadata.access('token', id)
  }

  group(name: string): GroupRecord | undefined {
    return this.#metadata.access('group', name)
  }

  role(name: string): RoleRecord | undefined {
    return this.#metadata.access('role', name)
  }

  project(key: string): ProjectRecord | undefined {
    return this.#metadata.access('project', key)
  }

  repositories(): RepositoryRecord[] {
    return this.#metadata.repositories()
  }

  all<K extends AccessKind>(kind: K): AccessRecords[K][] {
    return this.#metadata.accessAll(kind)
  }

  tokensOf(user: string): TokenRecord[] {
    return this.all('token').filter((token) => token.user === user)
  }

  /** The record again, unchanged: whoever remembers the user's password as right hears of it and forgets. Within the turn. */
  async touch(user: UserRecord): Promise<void> {
    await this.commit([{ kind: 'access', subject: 'user', id: user.name, record: { ...user } }], user.name)
  }

  /** All of the steps or none. Read back as soon as it returns. */
  commit(steps: Step[], by: string): Promise<Position> {
    return this.#ledger.commit({ scope: FLEET, steps, by })
  }
}

export function dropToken(id: string): Step {
  return { kind: 'access', subject: 'token', id, record: null }
}
