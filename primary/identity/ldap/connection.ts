/**
 * One connection to a directory server. It never comes back after it has broken: the library would go on as nobody. Referrals are
 * not followed, aliases not resolved, and no bind leaves here without a password.
 */
import type { Socket } from 'node:net'
import { Client, type Entry, type Filter, PresenceFilter, ResultCodeError } from 'ldapts'
import { RegistryError } from '../../../protocol/errors.js'
import { isPlausible } from '../../accounts/password.js'
import { type Dialling, dial } from './dial.js'
import { Messages } from './messages.js'
import type { LdapSettings } from './settings.js'

export interface Search {
  base: string
  /** The base alone, instead of all below it. */
  isBaseOnly?: boolean
  filter: Filter
  attributes: string[]
  /** No more than so many are told, and no error is made of it. */
  limit?: number
}

type ConnectionSettings = Pick<LdapSettings, 'ca' | 'allow_plain' | 'timeout_seconds' | 'page_size'>

/** RFC 4511, 4.1.9: results of a bind that say something of who binds, and not of the server. */
const REFUSED = new Set([19, 32, 34, 48, 49, 50, 53])
const NO_SUCH_OBJECT = 32
const REFERRAL = 10
/** Time, size, and what an administrator set. */
const PARTIAL = new Set([3, 4, 11])
const MAX_ENTRIES = 5000

export class Connection {
  readonly #client: Client
  readonly #messages: Messages
  readonly #host: string
  readonly #pageSize: number
  readonly #signal: AbortSignal
  readonly #end = () => void this.#messages.destroy()

  private constructor(socket: Socket, host: string, settings: ConnectionSettings, signal: AbortSignal) {
    this.#messages = new Messages(socket, host)
    this.#host = host
    this.#pageSize = settings.page_size
    this.#signal = signal
    let isTaken = false
    const createConnection = () => {
      if (isTaken) throw new Error('the connection has ended')
      isTaken = true
      return this.#messages as unknown as Socket
    }
    this.#client = new Client({ url: 'ldap://given', timeout: settings.timeout_seconds * 1000, createConnection })
    signal.addEventListener('abort', this.#end)
  }

  /** Throws `unavailable` with what is in the way. */
  static async open(url: string, settings: ConnectionSettings & Dialling, signal: AbortSignal): Promise<Connection> {
    return new Connection(await dial(url, settings, signal), new URL(url).host, settings, signal)
  }

  /** false: not with this password. */
  async bind(name: string, password: string): Promise<boolean> {
    if (!isPlausible(password)) return false
    try {
      await this.#client.bind(name, password)
      return true
    } catch (error) {
      if (error instanceof ResultCodeError && REFUSED.has(error.code)) return false
      throw this.#explained(error)
    }
  }

  /** All, over as many pages as it takes; part of it is an error. */
  async search({ base, isBaseOnly = false, filter, attributes, limit }: Search): Promise<Entry[]> {
    const options = {
      scope: isBaseOnly ? ('base' as const) : ('sub' as const),
      filter,
      attributes,
      explicitBufferAttributes: ['objectGUID'],
      ...(limit === undefined ? { paged: { pageSize: this.#pageSize } } : { sizeLimit: limit }),
    }
    const found: Entry[] = []
    try {
      if (limit !== undefined) return (await this.#client.search(base, options)).searchEntries
      for await (const { searchEntries } of this.#client.searchPaginated(base, options)) {
        found.push(...searchEntries)
        if (found.length > MAX_ENTRIES) throw this.#partial()
      }
    } catch (error) {
      throw this.#explained(error, base)
    }
    // The library takes an empty page for the last.
    if (this.#messages.hasMore) throw this.#partial()
    return found
  }

  /** Throws `unavailable` when the server says that it does not. */
  async exists(base: string): Promise<boolean> {
    const filter = new PresenceFilter({ attribute: 'objectClass' })
    return (await this.search({ base, isBaseOnly: true, filter, attributes: ['1.1'], limit: 1 })).length > 0
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#end)
    await this.#client.unbind().catch(() => undefined)
    this.#messages.destroy()
  }

  #partial(cause?: unknown): RegistryError {
    return new RegistryError('unavailable', `${this.#host} tells only a part of what it was asked`, {
      code: 'directory_partial',
      cause,
    })
  }

  #explained(error: unknown, base?: string): RegistryError {
    if (error instanceof RegistryError) return error
    const broken = this.#messages.errored
    if (broken instanceof RegistryError) return broken
    const fail = (sentence: string, code: string) => new RegistryError('unavailable', sentence, { code, cause: error })
    if (!(error instanceof ResultCodeError)) return fail(`${this.#host} does not answer`, 'no_answer')
    if (error.code === NO_SUCH_OBJECT) return fail(`There is no ${base} at ${this.#host}`, 'base_missing')
    if (error.code === REFERRAL)
      return fail(`${this.#host} refers to another server, which is not followed`, 'referral_refused')
    if (PARTIAL.has(error.code)) return this.#partial(error)
    return fail(`${this.#host} answers with an error: ${error.name} (${error.code})`, 'directory_error')
  }
}
