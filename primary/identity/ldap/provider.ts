/**
 * Signing on with the password of an LDAP directory. Somebody is found by a search and then binds; what becomes of them is asked with the
 * account that searches. Whether there is such a user cannot be told from a refusal, nor from how long it takes.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Entry } from 'ldapts'
import { deadline } from '../../../protocol/deadline.js'
import { RegistryError } from '../../../protocol/errors.js'
import { isPlausible } from '../../accounts/password.js'
import { Turn } from '../../accounts/turn.js'
import type { Identity } from '../identity.js'
import type { Provider, ProviderKind, ProviderParts, Synced } from '../provider.js'
import type { Connection } from './connection.js'
import { normalDn } from './names.js'
import { byName, identityOf, isName, templateDn } from './people.js'
import { Servers } from './servers.js'
import { type LdapSettings, ldapSettings } from './settings.js'
import { apply, present } from './sync.js'

export const ldap: ProviderKind<LdapSettings> = {
  kind: 'ldap',
  settings: ldapSettings,
  secrets: ['bind_password'],
  realm: ({ id_attribute, user_base }) => `${id_attribute.toLowerCase()} ${domainOf(user_base)}`,
  check: async (settings, { guard }) => {
    const servers = new Servers(settings, guard)
    const signal = deadline(CHECK_DEADLINE_MS)
    for (const url of settings.urls) await servers.at(url, (connection) => check(connection, settings), signal)
  },
  open: (key, settings, parts) => new LdapProvider(key, settings, parts),
}

const CHECK_DEADLINE_MS = 30_000
const MINUTE_MS = 60_000
const CONNECTIONS = 4

class LdapProvider implements Provider {
  readonly #key: string
  readonly #settings: LdapSettings
  readonly #parts: ProviderParts
  readonly #servers: Servers
  readonly #turn = new Turn()
  /** What somebody's bind took lately: who is not found waits as long. */
  #bindMs: number | undefined
  #syncedMs = 0

  constructor(key: string, settings: LdapSettings, parts: ProviderParts) {
    this.#key = key
    this.#settings = settings
    this.#parts = parts
    this.#servers = new Servers(settings, parts.guard)
  }

  async password(user: string, password: string, signal: AbortSignal): Promise<Identity | undefined> {
    if (!isPlausible(password) || !isName(user)) return undefined
    const { user_dn } = this.#settings
    return this.#servers.ask(async (connection) => {
      if (user_dn !== undefined) {
        if (!(await connection.bind(templateDn(user, user_dn), password))) return undefined
        return this.#one(user, connection)
      }
      const [, serviceMs] = await timed(() => serve(connection, this.#settings))
      const [entry, ...others] = await byName(connection, user, this.#settings)
      if (!entry || others.length > 0) {
        await delay(this.#bindMs ?? serviceMs, undefined, { signal })
        return undefined
      }
      const [isRight, bindMs] = await timed(() => connection.bind(entry.dn, password))
      this.#bindMs = bindMs
      return isRight ? this.#read(entry, connection) : undefined
    }, signal)
  }

  find(user: string, signal: AbortSignal): Promise<Identity> {
    return this.#servers.ask(async (connection) => {
      await serve(connection, this.#settings)
      const entries = isName(user) ? await byName(connection, user, this.#settings) : []
      const [entry] = entries
      if (!entry) throw new RegistryError('invalid', `Nobody is found who is called ${user}`, { code: 'user_missing' })
      if (entries.length > 1)
        throw new RegistryError('invalid', `Several are found who are called ${user}, so nobody is`, {
          code: 'user_ambiguous',
        })
      return identityOf(this.#key, entry, connection, this.#settings)
    }, signal)
  }

  async tick(signal: AbortSignal): Promise<void> {
    const { sync_minutes } = this.#settings
    if (sync_minutes === 0 || this.#parts.nowMs() - this.#syncedMs < sync_minutes * MINUTE_MS) return
    await this.sync(false, signal)
  }

  sync(isForced: boolean, signal: AbortSignal): Promise<Synced> {
    return this.#turn.run(async () => {
      const { federation, nowMs } = this.#parts
      const startedMs = nowMs()
      const linked = await federation.linked(this.#key)
      const subjects = linked.map(({ subject }) => subject)
      const found = await this.#present(subjects, signal)
      // Also when so many are to go that it is refused: that is said once in a while, not each minute.
      this.#syncedMs = startedMs
      return apply(linked, found, federation, this.#settings, isForced)
    })
  }

  /** Over several connections, since each is asked one thing at a time. */
  async #present(subjects: string[], signal: AbortSignal): Promise<Map<string, Identity>> {
    const stop = new AbortController()
    const either = AbortSignal.any([signal, stop.signal])
    const share = Math.ceil(subjects.length / CONNECTIONS)
    const asked = Array.from({ length: CONNECTIONS }, (_, i) => subjects.slice(i * share, (i + 1) * share))
    const work = (some: string[]) =>
      this.#servers.ask(async (connection) => {
        await serve(connection, this.#settings)
        return present(this.#key, some, connection, this.#settings)
      }, either)
    try {
      const found = await Promise.all(asked.filter((some) => some.length > 0).map(work))
      return new Map(found.flatMap((some) => [...some]))
    } finally {
      stop.abort()
    }
  }

  /** Whoever has just bound by a name that was made, not found. */
  async #one(user: string, connection: Connection): Promise<Identity | undefined> {
    await serve(connection, this.#settings)
    const [entry] = await byName(connection, user, this.#settings)
    return entry && identityOf(this.#key, entry, connection, this.#settings)
  }

  async #read(entry: Entry, connection: Connection): Promise<Identity> {
    await serve(connection, this.#settings)
    return identityOf(this.#key, entry, connection, this.#settings)
  }
}

async function timed<T>(bind: () => Promise<T>): Promise<[result: T, ms: number]> {
  const startMs = performance.now()
  const result = await bind()
  return [result, performance.now() - startMs]
}

/** Who searches. Throws `unavailable` when it may not. */
async function serve(connection: Connection, { bind_dn, bind_password }: LdapSettings): Promise<void> {
  if (bind_dn === undefined || bind_password === undefined) return
  if (await connection.bind(bind_dn, bind_password)) return
  throw new RegistryError('unavailable', `The directory refuses ${bind_dn} with this password`, {
    code: 'bind_refused',
  })
}

async function check(connection: Connection, settings: LdapSettings): Promise<void> {
  await serve(connection, settings)
  const { user_base, group_base, user_dn, bind_dn } = settings
  // Nobody in particular may look then, until somebody has logged in.
  if (user_dn !== undefined && bind_dn === undefined) return
  for (const base of group_base === undefined ? [user_base] : [user_base, group_base])
    if (!(await connection.exists(base)))
      throw new RegistryError('unavailable', `There is no ${base} in the directory that may be seen`, {
        code: 'base_missing',
      })
}

/** The domain components of a name, or the last of its parts. */
function domainOf(dn: string): string {
  const [normal = ''] = /(?:dc=[^,]*(?:,|$))+$/.exec(normalDn(dn) ?? '') ?? []
  return normal || (normalDn(dn) ?? '').replace(/^.*,/, '')
}
