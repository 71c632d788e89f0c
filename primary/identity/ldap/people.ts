/** People in a directory: found by what they type or by their id, and what is said of them. */
import { AndFilter, type Entry, EqualityFilter, Filter, FilterParser, OrFilter } from 'ldapts'
import type { Identity } from '../identity.js'
import type { Connection } from './connection.js'
import { idAttribute, idOf, idValue, textsOf } from './entry.js'
import { groupsOf } from './groups.js'
import { dnValue } from './names.js'
import type { LdapSettings } from './settings.js'

/** Two are as bad as a hundred. */
const ENOUGH = 2
/** Ids in one filter. */
export const AT_ONCE = 100
const MAX_NAME_CHARACTERS = 256

/** Could it be anybody's name. */
export function isName(user: string): boolean {
  return user.trim() !== '' && user.length <= MAX_NAME_CHARACTERS && !/\p{Cc}/u.test(user)
}

/** The distinguished name that the settings make of what was typed. */
export function templateDn(user: string, template: string): string {
  return template.split('{user}').join(dnValue(user))
}

/** More than one: it is nobody. */
export function byName(connection: Connection, user: string, settings: LdapSettings): Promise<Entry[]> {
  const { user_base, user_filter, user_dn } = settings
  const where =
    user_dn === undefined
      ? { base: user_base, filter: FilterParser.parseString(filled(user_filter, Filter.escape(user))) }
      : { base: templateDn(user, user_dn), filter: anybody(settings), isBaseOnly: true }
  return connection.search({ ...where, attributes: attributesOf(settings), limit: ENOUGH })
}

/** Those of the ids that may log in. */
export function byIds(connection: Connection, ids: string[], settings: LdapSettings): Promise<Entry[]> {
  const { user_base, id_attribute } = settings
  const attribute = idAttribute(id_attribute)
  const any = ids.map((id) => new EqualityFilter({ attribute, value: idValue(id, id_attribute) }))
  const filters = [anybody(settings), new OrFilter({ filters: any })]
  return connection.search({ base: user_base, filter: new AndFilter({ filters }), attributes: attributesOf(settings) })
}

export async function identityOf(
  key: string,
  entry: Entry,
  connection: Connection,
  settings: LdapSettings,
): Promise<Identity> {
  const { id_attribute, name_attribute, email_attribute, email_verified } = settings
  const subject = idOf(entry, id_attribute)
  const [name = ''] = textsOf(entry, name_attribute)
  const [email = ''] = textsOf(entry, email_attribute)
  return {
    provider: key,
    subject,
    name,
    email,
    emailVerified: email_verified && email !== '',
    groups: await groupsOf(connection, { dn: entry.dn, name }, settings),
    admin: undefined,
  }
}

function attributesOf({ id_attribute, name_attribute, email_attribute }: LdapSettings): string[] {
  return [idAttribute(id_attribute), name_attribute, email_attribute]
}

/** Who may log in, whoever it is. */
function anybody({ user_filter }: LdapSettings): Filter {
  return FilterParser.parseString(filled(user_filter, '*'))
}

function filled(filter: string, user: string): string {
  return filter.split('{user}').join(user)
}
