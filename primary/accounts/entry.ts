/**
 * Logging in to the console with a password, in the steps that the account needs: the password, then a code where there is a
 * second factor, or setting one up where it is demanded. Between two steps the browser holds a ticket that this process knows
 * for some minutes; it is of no use once the account has changed.
 */
import { randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Entered, Opened } from '../../admin/console.js'
import { RegistryError } from '../../protocol/errors.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { UserRecord } from '../../protocol/records.js'
import type { ConsoleSessions } from './console.js'
import type { Directory } from './directory.js'
import type { SecondSteps } from './second-steps.js'

interface Pending {
  user: UserRecord
  next: string
  /** Is the second factor being set up. */
  enrols: boolean
}

const TICKET_BYTES = 24
const TICKET_MS = 10 * 60_000
const PENDING = 10_000

export class Entry {
  readonly #sessions: ConsoleSessions
  readonly #steps: SecondSteps
  readonly #directory: Directory
  readonly #pending = new LRUCache<string, Pending>({ max: PENDING, ttl: TICKET_MS })

  constructor(sessions: ConsoleSessions, steps: SecondSteps, directory: Directory) {
    this.#sessions = sessions
    this.#steps = steps
    this.#directory = directory
  }

  /** The user's password was right. Call it within the directory's turn. */
  async first(user: UserRecord, request: HttpRequest, next: string): Promise<Entered> {
    const step = await this.#steps.next(user)
    if (step === 'none') return { reply: await this.#sessions.open(user, request, { method: 'password', next }) }
    const ticket = randomBytes(TICKET_BYTES).toString('base64url')
    this.#pending.set(ticket, { user, next, enrols: step === 'enrol' })
    return step === 'code' ? { ticket } : { ticket, enrol: await this.#steps.factor.begin(user.name) }
  }

  /** Throws `unauthenticated` for a wrong code, or when too much time has passed. */
  async second(ticket: string, code: string, request: HttpRequest): Promise<Opened> {
    const pending = this.#pending.get(ticket)
    const user = pending && this.#directory.user(pending.user.name)
    if (!pending || user !== pending.user)
      throw new RegistryError('unauthenticated', 'That took too long; log in again')
    return this.#directory.turn.run(async () => {
      const codes = pending.enrols
        ? await this.#steps.enrolled(user, code, request.remote)
        : await this.#steps.demand(user, code, request.remote)
      this.#pending.delete(ticket)
      const current = this.#directory.user(user.name) ?? user
      const reply = await this.#sessions.open(current, request, { method: 'password', next: pending.next })
      return codes ? { reply, codes } : { reply }
    })
  }

  /** Whose log-in a ticket belongs to. */
  userOf(ticket: string): string | undefined {
    return this.#pending.get(ticket)?.user.name
  }
}
