/**
 * The configured providers: kept in Postgres, their secrets sealed with a key that lies beside the primary's others, opened when the
 * primary starts and whenever one changes. One that is broken or down is none of the others' business, and none of local accounts'.
 */

import { check } from '../../protocol/api/body.js'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { UserRecord } from '../../protocol/records.js'
import type { Origin } from '../accounts/console.js'
import { Turn } from '../accounts/turn.js'
import { seal, unseal } from '../upstream/credentials.js'
import { type Admission, admissionOf } from './admission.js'
import type { Identity } from './identity.js'
import { leaving } from './leaving.js'
import type { Provider, ProviderKind, ProviderParts, Route, Synced } from './provider.js'

export interface ProviderRecord {
  key: string
  kind: string
  title: string
  enabled: boolean
  /** Without the secret ones. */
  settings: Record<string, unknown>
}

export interface ProviderChanges {
  title?: string | undefined
  enabled?: boolean | undefined
  /** All of them; secret ones that are left out stay as they are. */
  settings?: Record<string, unknown> | undefined
}

interface Row {
  key: string
  kind: string
  title: string
  enabled: boolean
  settings: string
  sealed: Buffer
}

interface Open {
  record: ProviderRecord
  kind: ProviderKind
  /** With the secret ones. */
  settings: object
  /** undefined: it is switched off. */
  provider: Provider | undefined
}

const PASSWORD_DEADLINE_MS = 10_000
const TICK_DEADLINE_MS = 60_000
const SYNC_DEADLINE_MS = 300_000
const LOGIN_PATH = '/admin/login/'

export class Providers {
  readonly #kinds: readonly ProviderKind[]
  readonly #parts: ProviderParts
  readonly #onFault: (error: unknown, provider: string) => void
  readonly #turn = new Turn()
  #open = new Map<string, Open>()

  constructor(
    kinds: readonly ProviderKind[],
    parts: ProviderParts,
    onFault: (error: unknown, provider: string) => void,
  ) {
    this.#kinds = kinds
    this.#parts = parts
    this.#onFault = onFault
  }

  /** Opens all that are configured; one that cannot be is left out and said. */
  async start(): Promise<void> {
    const { rows } = await this.#parts.pool.query<Row>('select * from identity_provider order by key')
    for (const row of rows)
      try {
        this.#put(this.#read(row))
      } catch (error) {
        this.#onFault(error, row.key)
      }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ provider }) => provider?.close?.()))
    this.#open.clear()
  }

  /** In the order of their keys, which is also the order in which passwords are tried. */
  list(): ProviderRecord[] {
    return [...this.#open.values()].map(({ record }) => record).sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  get(key: string): ProviderRecord {
    return this.#existing(key).record
  }

  admission(key: string): Admission {
    return admissionOf(this.#existing(key).settings)
  }

  /** What a log-in page can lead to. */
  starts(): { key: string; name: string }[] {
    return this.list().flatMap(({ key, title }) => (this.#route(key, 'GET start') ? [{ key, name: title }] : []))
  }

  /** Where somebody goes who logged in by a provider and out here; undefined: it has no such place. */
  logoutPath({ method, providerSession }: Origin): string | undefined {
    if (!this.#route(method, 'GET logout')) return undefined
    return `${LOGIN_PATH}${method}/logout${leaving(this.#parts, method, providerSession)}`
  }

  create(draft: ProviderRecord): Promise<ProviderRecord> {
    return this.#turn.run(async () => {
      if (this.#open.has(draft.key))
        throw new RegistryError('conflict', `There is an identity provider ${draft.key} already`)
      const kind = this.#kind(draft.kind)
      return this.#save({ record: draft, kind, settings: await this.#checked(kind, draft.settings) })
    })
  }

  update(key: string, changes: ProviderChanges): Promise<ProviderRecord> {
    return this.#turn.run(async () => {
      const before = this.#existing(key)
      const record = {
        ...before.record,
        title: changes.title ?? before.record.title,
        enabled: changes.enabled ?? before.record.enabled,
      }
      if (!changes.settings) return this.#save({ ...before, record })
      const { kind } = before
      const kept = Object.fromEntries(Object.entries(before.settings).filter(([name]) => kind.secrets.includes(name)))
      const settings = await this.#checked(kind, { ...kept, ...changes.settings }, kind.realm(before.settings))
      return this.#save({ record, kind, settings })
    })
  }

  remove(key: string, by: string): Promise<void> {
    return this.#turn.run(async () => {
      const { provider } = this.#existing(key)
      await this.#parts.federation.forget(key, by)
      await this.#parts.pool.query('delete from identity_provider where key = $1', [key])
      this.#open.delete(key)
      await provider?.close?.()
    })
  }

  /** Asks the provider. With a name, who that is there, and with a password, whose it is. Throws what is wrong. */
  async test(key: string, user?: string, password?: string): Promise<Identity | undefined> {
    const { kind, settings, provider } = this.#existing(key)
    await kind.check(settings, this.#parts)
    if (user === undefined) return undefined
    const asked = provider ?? kind.open(key, settings, this.#parts)
    if (!asked.password) throw new RegistryError('invalid', 'This provider takes no passwords itself')
    const signal = deadline(PASSWORD_DEADLINE_MS)
    if (password === undefined) return asked.find?.(user, signal)
    const identity = await asked.password(user, password, signal)
    if (!identity) throw new RegistryError('invalid', 'The provider does not know this user with this password')
    return identity
  }

  /** Brings its accounts to what the provider says. Throws `conflict` for what is more likely to be a mistake, unless it is forced. */
  async sync(key: string, isForced: boolean): Promise<Synced> {
    const { provider } = this.#existing(key)
    if (!provider) throw new RegistryError('conflict', `${key} is switched off`)
    if (!provider.sync) throw new RegistryError('invalid', 'This provider tells of nobody who is not logging in')
    return provider.sync(isForced, deadline(SYNC_DEADLINE_MS))
  }

  /**
   * The account of whoever has this password at one of the providers, each asked in turn. undefined: nobody. Throws `unavailable` when
   * it is nobody's as far as could be asked, and one could not be.
   */
  async password(user: string, password: string): Promise<UserRecord | undefined> {
    let fault: unknown
    for (const { key } of this.list()) {
      const provider = this.#open.get(key)?.provider
      if (!provider?.password) continue
      const found = await provider.password(user, password, deadline(PASSWORD_DEADLINE_MS)).catch((error) => {
        this.#onFault(error, key)
        fault = error
      })
      if (found) return this.#parts.federation.admit(found)
    }
    if (fault === undefined) return undefined
    throw new RegistryError('unavailable', 'The directory cannot be asked at the moment', {
      cause: fault,
      retryAfter: 10,
      code: 'provider_unavailable',
    })
  }

  /** Requests for LOGIN_PATH + key, and below. undefined: there is no such route. */
  handle(request: HttpRequest): Promise<Reply> | undefined {
    if (!request.path.startsWith(LOGIN_PATH)) return undefined
    const [key = '', name = 'start', ...rest] = request.path.slice(LOGIN_PATH.length).split('/')
    return rest.length > 0 ? undefined : this.#route(key, `${request.method} ${name}`)?.(request)
  }

  async tick(): Promise<void> {
    for (const { record, provider } of this.#open.values())
      await provider?.tick?.(deadline(TICK_DEADLINE_MS)).catch((error) => this.#onFault(error, record.key))
  }

  #route(key: string, name: string): Route | undefined {
    const routes = this.#open.get(key)?.provider?.routes
    return routes && Object.hasOwn(routes, name) ? routes[name] : undefined
  }

  async #checked(kind: ProviderKind, settings: unknown, realm?: string): Promise<object> {
    const checked = check(settings, kind.settings, 'settings')
    if (realm !== undefined && kind.realm(checked) !== realm)
      throw new RegistryError('conflict', 'Its people would become others: make another provider', {
        code: 'realm_changed',
      })
    await kind.check(checked, this.#parts)
    return checked
  }

  async #save({ record, kind, settings }: Omit<Open, 'provider'>): Promise<ProviderRecord> {
    const [open, secret] = parted(settings, kind.secrets)
    const sealed = seal(this.#parts.key, scopeOf(record.key), JSON.stringify(secret))
    await this.#parts.pool.query(
      `insert into identity_provider (key, kind, title, enabled, settings, sealed) values ($1, $2, $3, $4, $5, $6)
       on conflict (key) do update set title = $3, enabled = $4, settings = $5, sealed = $6`,
      [record.key, kind.kind, record.title, record.enabled, JSON.stringify(open), sealed],
    )
    const saved = { ...record, settings: open }
    const before = this.#open.get(record.key)?.provider
    this.#put({ record: saved, kind, settings })
    await before?.close?.()
    return saved
  }

  #read(row: Row): Omit<Open, 'provider'> {
    const kind = this.#kind(row.kind)
    const open = JSON.parse(row.settings) as Record<string, unknown>
    const secret = JSON.parse(unseal(this.#parts.key, scopeOf(row.key), row.sealed)) as Record<string, unknown>
    const { key, title, enabled } = row
    return {
      record: { key, kind: row.kind, title, enabled, settings: open },
      kind,
      settings: kind.settings.parse({ ...open, ...secret }),
    }
  }

  #put({ record, kind, settings }: Omit<Open, 'provider'>): void {
    const provider = record.enabled ? kind.open(record.key, settings, this.#parts) : undefined
    this.#open.set(record.key, { record, kind, settings, provider })
  }

  #kind(name: string): ProviderKind {
    const kind = this.#kinds.find((one) => one.kind === name)
    if (kind) return kind
    const known = this.#kinds.map((one) => one.kind).join(', ')
    throw new RegistryError('invalid', `There is no such kind of identity provider; there are ${known}`)
  }

  #existing(key: string): Open {
    const open = this.#open.get(key)
    if (!open) throw new RegistryError('missing', `There is no identity provider ${key}`)
    return open
  }
}

function parted(settings: object, secrets: readonly string[]): [Record<string, unknown>, Record<string, unknown>] {
  const entries = Object.entries(settings)
  return [
    Object.fromEntries(entries.filter(([name]) => !secrets.includes(name))),
    Object.fromEntries(entries.filter(([name]) => secrets.includes(name))),
  ]
}

/** What the sealed bytes are bound to. */
function scopeOf(key: string): string {
  return `identity-provider/${key}`
}
