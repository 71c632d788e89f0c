/** The groups of somebody, and the groups that those are in, by searching for who has them as a member. Circles end by themselves. */
import { AndFilter, type Entry, EqualityFilter, ExtensibleFilter, type Filter, FilterParser, OrFilter } from 'ldapts'
import { RegistryError } from '../../../protocol/errors.js'
import type { Connection } from './connection.js'
import { textsOf } from './entry.js'
import { normalDn } from './names.js'
import type { LdapSettings } from './settings.js'

/** LDAP_MATCHING_RULE_IN_CHAIN (MS-ADTS, 3.1.1.3.4.4.3). */
const IN_CHAIN = '1.2.840.113556.1.4.1941'
const MAX_DEPTH = 20
const MAX_GROUPS = 1000
/** Members in one filter. */
const AT_ONCE = 50

/** undefined: groups are local. Throws `forbidden` rather than leaving some out: one of them may be what somebody is denied by. */
export async function groupsOf(
  connection: Connection,
  { dn, name }: { dn: string; name: string },
  settings: LdapSettings,
): Promise<string[] | undefined> {
  const { group_base, group_member, group_nesting } = settings
  if (group_base === undefined) return undefined
  const known = new Set<string>()
  const told = new Set<string>()
  let members = group_member === 'dn' ? [dn] : name === '' ? [] : [name]
  let depth = 0
  while (members.length > 0) {
    if (depth++ > MAX_DEPTH) throw tooMany(dn)
    const fresh: Entry[] = []
    for (let from = 0; from < members.length; from += AT_ONCE)
      for (const group of await having(connection, members.slice(from, from + AT_ONCE), group_base, settings)) {
        const key = normalDn(group.dn) ?? group.dn
        if (known.has(key)) continue
        if (known.add(key).size > MAX_GROUPS) throw tooMany(dn)
        fresh.push(group)
        told.add(nameOf(group, key, settings))
      }
    members = group_nesting === 'search' && group_member === 'dn' ? fresh.map((group) => group.dn) : []
  }
  told.delete('')
  return [...told].sort()
}

function having(connection: Connection, members: string[], base: string, settings: LdapSettings): Promise<Entry[]> {
  const { group_filter, group_member_attribute: attribute, group_name_attribute, group_nesting } = settings
  const any: Filter[] = members.map((value) =>
    group_nesting === 'chain'
      ? new ExtensibleFilter({ matchType: attribute, rule: IN_CHAIN, value })
      : new EqualityFilter({ attribute, value }),
  )
  return connection.search({
    base,
    filter: new AndFilter({ filters: [FilterParser.parseString(group_filter), new OrFilter({ filters: any })] }),
    // Nothing but its name (RFC 4511, 4.5.1.8).
    attributes: group_name_attribute === 'dn' ? ['1.1'] : [group_name_attribute],
  })
}

function nameOf(group: Entry, normal: string, { group_name_attribute }: LdapSettings): string {
  return group_name_attribute === 'dn' ? normal : (textsOf(group, group_name_attribute)[0] ?? '')
}

function tooMany(dn: string): RegistryError {
  return new RegistryError('forbidden', `${dn} is in more groups than can be counted`, { code: 'too_many_groups' })
}
