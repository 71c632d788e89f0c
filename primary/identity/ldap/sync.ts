/**
 * Compares the accounts of a directory with the directory. All is read before anything changes, so whatever is missing from an answer
 * deactivates nobody; and so many at once are more likely to be a mistake there than to have left.
 */
import type { Entry } from 'ldapts'
import { RegistryError } from '../../../protocol/errors.js'
import { admissionOf, isAdmitted } from '../admission.js'
import type { Federation, Linked } from '../federation.js'
import type { Identity } from '../identity.js'
import type { Synced } from '../provider.js'
import type { Connection } from './connection.js'
import { idOf } from './entry.js'
import { AT_ONCE, byIds, identityOf } from './people.js'
import type { LdapSettings } from './settings.js'

const ALWAYS_ALLOWED = 10
/** People whose groups are asked for at the same time, over one connection. */
const PARALLEL = 8

/** Who may log in there, by subject. Throws `unavailable` for anything but a whole answer. */
export async function present(
  key: string,
  subjects: string[],
  connection: Connection,
  settings: LdapSettings,
): Promise<Map<string, Identity>> {
  const entries = new Map<string, Entry>()
  for (let from = 0; from < subjects.length; from += AT_ONCE)
    for (const entry of await byIds(connection, subjects.slice(from, from + AT_ONCE), settings)) {
      const subject = idOf(entry, settings.id_attribute)
      if (entries.has(subject))
        throw new RegistryError('unavailable', `Two entries have the ${settings.id_attribute} of ${entry.dn}`, {
          code: 'id_ambiguous',
        })
      entries.set(subject, entry)
    }
  const found = new Map<string, Identity>()
  const turns = entries.values()
  const work = async () => {
    for (const entry of turns) {
      const identity = await identityOf(key, entry, connection, settings)
      found.set(identity.subject, identity)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return found
}

/** Throws `conflict` for too many, unless that is forced. */
export async function apply(
  linked: Linked[],
  found: ReadonlyMap<string, Identity>,
  federation: Federation,
  settings: LdapSettings,
  isForced: boolean,
): Promise<Synced> {
  const admission = admissionOf(settings)
  const isPresent = ({ subject }: Linked) => {
    const identity = found.get(subject)
    return identity !== undefined && isAdmitted(identity, admission)
  }
  const active = linked.filter(({ isDisabled }) => !isDisabled)
  const leaving = settings.deactivate ? active.filter((one) => !isPresent(one)) : []
  if (!isForced && leaving.length > Math.max(ALWAYS_ALLOWED, active.length / 2))
    throw new RegistryError(
      'conflict',
      `${leaving.length} of ${active.length} accounts would be deactivated; nothing was changed, and it can be forced`,
      { code: 'sync_refused' },
    )
  const synced: Synced = { accounts: linked.length, deactivated: [], reactivated: [], kept: [] }
  for (const one of linked.filter(isPresent)) {
    const identity = found.get(one.subject)
    if (!identity) continue
    if (one.isDeactivated && one.isDisabled) {
      await federation.reactivate(one.provider, one.subject)
      synced.reactivated.push(one.user)
    }
    await federation.renew(identity)
  }
  for (const { provider, subject, user } of leaving)
    try {
      await federation.deactivate(provider, subject)
      synced.deactivated.push(user)
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'last_administrator') throw error
      synced.kept.push(user)
    }
  return synced
}
