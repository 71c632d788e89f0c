/**
 * Which account a provisioned user is, where one is there already. Nothing is joined because names are alike: it is the provider's own
 * from before, or an administrator linked it, or `log_in_with` says whose log-ins these people are.
 */
import type pg from 'pg'
import type { Federation } from '../identity/federation.js'
import type { Identity } from '../identity/identity.js'
import { accountName } from '../identity/name.js'
import type { Providers } from '../identity/providers.js'
import { keyOf } from './key.js'
import { SCIM, type ScimSettings, scimSettingsOf } from './provider.js'

export interface LogInsParts {
  pool: Pick<pg.Pool, 'query'>
  federation: Pick<Federation, 'link' | 'unlink' | 'rename' | 'accountOf'>
  /** Of every SCIM provider, by key. */
  settings: () => ReadonlyMap<string, ScimSettings>
}

const MATCHES: Record<ScimSettings['log_in_match'], string> = {
  external_id: 'u.external_id = $2',
  user_name: 'u.user_key = $2',
  email: `exists (select from jsonb_array_elements(u.attributes -> 'emails') e where lower(e ->> 'value') = lower($2))`,
}

/** Of every SCIM provider, by key. */
export function scimSettings(providers: Pick<Providers, 'list'>): Map<string, ScimSettings> {
  const configured = providers.list().filter(({ kind }) => kind === SCIM)
  return new Map(configured.map(({ key, settings }) => [key, scimSettingsOf(settings)]))
}

export class LogIns {
  readonly #parts: LogInsParts

  constructor(parts: LogInsParts) {
    this.#parts = parts
  }

  /** The account that was made for who logs in; undefined: none, or not just one. */
  async accountOf(identity: Identity): Promise<string | undefined> {
    const found = new Set<string>()
    for (const [provider, { log_in_with, log_in_match }] of this.#parts.settings()) {
      const shown = log_in_with === identity.provider ? shownBy(identity, log_in_match) : undefined
      if (shown === undefined) continue
      const { rows } = await this.#parts.pool.query<{ user_name: string }>(
        `select i.user_name from scim_user u join identity i on i.provider = u.provider and i.subject = u.id
         where u.provider = $1 and ${MATCHES[log_in_match]} limit 2`,
        [provider, shown],
      )
      for (const { user_name } of rows) found.add(user_name)
    }
    return found.size === 1 ? [...found][0] : undefined
  }

  /** A new user's account, if it has one. */
  async adopt(provider: string, id: string, userName: string, externalId: string | undefined): Promise<void> {
    const { federation } = this.#parts
    if (externalId !== undefined && (await this.#isFree(provider, externalId))) {
      await federation.rename(provider, externalId, id)
      return
    }
    const account = await this.#ofLogIn(provider, accountName(userName), externalId)
    if (account !== undefined) await federation.link(provider, id, account)
  }

  /** For whom is deleted: the account is that person's again if the same `externalId` comes back. */
  async leave(provider: string, id: string, externalId: string | undefined): Promise<void> {
    const { federation } = this.#parts
    if (externalId === undefined || !(await federation.rename(provider, id, externalId)))
      await federation.unlink(provider, id, SCIM)
  }

  /** An account under the provider's own id for somebody who is no user: one who left, or whom an administrator linked. */
  async #isFree(provider: string, externalId: string): Promise<boolean> {
    const { rowCount } = await this.#parts.pool.query(
      `select from identity i where i.provider = $1 and i.subject = $2
       and not exists (select from scim_user u where u.id = i.subject)`,
      [provider, externalId],
    )
    return rowCount === 1
  }

  /** Somebody who logged in before being provisioned. */
  async #ofLogIn(provider: string, account: string, externalId: string | undefined): Promise<string | undefined> {
    const { log_in_with, log_in_match } = this.#parts.settings().get(provider) ?? {}
    if (log_in_with === undefined) return undefined
    if (log_in_match === 'external_id')
      return externalId === undefined ? undefined : this.#parts.federation.accountOf(log_in_with, externalId)
    if (log_in_match === 'email') return undefined
    const { rows } = await this.#parts.pool.query<{ user_name: string }>(
      'select user_name from identity where provider = $1 and user_name = $2',
      [log_in_with, account],
    )
    return rows[0]?.user_name
  }
}

function shownBy(identity: Identity, match: ScimSettings['log_in_match']): string | undefined {
  if (match === 'external_id') return identity.subject
  if (match === 'user_name') return keyOf(identity.name)
  return identity.emailVerified && identity.email !== '' ? identity.email : undefined
}
