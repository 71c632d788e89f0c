/** What an administrator says about an LDAP directory. A preset fills in what a kind of directory usually has. */
import { X509Certificate } from 'node:crypto'
import { FilterParser } from 'ldapts'
import { z } from 'zod'
import { admissionFields } from '../admission.js'
import { normalDn } from './names.js'

const PRESETS = {
  openldap: {
    user_filter: '(&(objectClass=inetOrgPerson)(uid={user}))',
    id_attribute: 'entryUUID',
    name_attribute: 'uid',
    group_filter: '(objectClass=groupOfNames)',
    group_nesting: 'search',
  },
  'active-directory': {
    // Bit 2 of userAccountControl: the account is disabled.
    user_filter:
      '(&(objectCategory=person)(objectClass=user)(sAMAccountName={user})(!(userAccountControl:1.2.840.113556.1.4.803:=2)))',
    id_attribute: 'objectGUID',
    name_attribute: 'sAMAccountName',
    group_filter: '(objectClass=group)',
    group_nesting: 'chain',
  },
}

const attribute = z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, 'this is no name of an attribute')
const name = z
  .string()
  .max(1024)
  .refine((dn) => normalDn(dn) !== undefined, 'this is no distinguished name')
const filter = z.string().max(2048).refine(parses, 'this is no filter')
const server = z
  .url({ protocol: /^ldaps?$/ })
  .max(512)
  .refine(hasOnlyAHost, 'a server has a scheme, a host and maybe a port')

const fields = z.strictObject({
  ...admissionFields,
  preset: z.enum(['openldap', 'active-directory']).default('openldap').meta({
    description: 'What filters and attributes are, where they are not given',
  }),
  urls: z.array(server).min(1).max(8).meta({
    description: 'ldaps://host, or ldap://host, which is asked for StartTLS; each in its turn until one answers',
  }),
  ca: z.string().max(262_144).refine(holdsCertificates, 'this is no certificate in PEM form').optional().meta({
    description: 'Certificates, PEM: one of them signed the servers’. Without them, who is publicly trusted',
  }),
  allow_plain: z
    .boolean()
    .default(false)
    .meta({ description: 'For tests, ldap:// without TLS: passwords can be read on their way' }),
  timeout_seconds: z.number().int().min(1).max(10).default(4).meta({
    description: 'For a connection, and for each answer; then it is the next server’s turn',
  }),
  bind_dn: z
    .string()
    .max(1024)
    .regex(/[=@\\]/, 'this is no name to bind as')
    .optional()
    .meta({
      description: 'Who searches. Without it, nobody in particular does',
    }),
  bind_password: z.string().min(1).max(1024).optional(),
  user_base: name.meta({ description: 'Below it are the people' }),
  user_filter: filter
    .refine((text) => text.includes('{user}'), 'it needs {user}')
    .meta({
      description: 'Who is found may log in; {user} is what was typed. Leave out who is disabled',
    }),
  user_dn: z
    .string()
    .max(1024)
    .refine(isTemplate, 'it is attribute={user},… and then a distinguished name')
    .optional()
    .meta({ description: 'The name of each, with {user} in it: nothing is searched to log somebody in' }),
  id_attribute: attribute.meta({ description: 'Never changes, and never becomes another person' }),
  name_attribute: attribute,
  email_attribute: attribute.default('mail'),
  email_verified: z.boolean().default(false).meta({ description: 'Nobody can choose an address in this directory' }),
  group_base: name.optional().meta({ description: 'Below it are the groups. Without it, groups are local' }),
  group_filter: filter,
  group_member_attribute: attribute.default('member'),
  group_member: z.enum(['dn', 'name']).default('dn').meta({
    description: 'What is in it: members’ distinguished names, or their names as in memberUid',
  }),
  group_name_attribute: attribute.default('cn').meta({
    description: 'What groups are called; dn: the whole name, of which each spelling counts',
  }),
  group_nesting: z.enum(['none', 'search', 'chain']).meta({
    description: 'Groups of groups: not, by searching again, or by Active Directory’s own rule',
  }),
  page_size: z.number().int().min(10).max(1000).default(500),
  sync_minutes: z.number().int().min(0).max(10_080).default(60).meta({
    description: 'How often it is asked who is still there and in which groups; 0: at log-in only',
  }),
  deactivate: z
    .boolean()
    .default(true)
    .meta({ description: 'Who is no longer found loses sessions and tokens at the next sync' }),
})

export const ldapSettings = z.preprocess(
  withPreset,
  fields
    .refine(({ bind_dn, bind_password }) => (bind_dn === undefined) === (bind_password === undefined), {
      error: 'bind_dn and bind_password belong together',
    })
    .transform(withNormalNames),
)

export type LdapSettings = z.output<typeof ldapSettings>

function withPreset(given: unknown): unknown {
  if (typeof given !== 'object' || given === null) return given
  const isActiveDirectory = 'preset' in given && given.preset === 'active-directory'
  return { ...PRESETS[isActiveDirectory ? 'active-directory' : 'openldap'], ...given }
}

/** Where groups are told by their whole names, those in the settings are spelt the same way. */
function withNormalNames(settings: z.output<typeof fields>): z.output<typeof fields> {
  if (settings.group_name_attribute !== 'dn') return settings
  const normal = (group: string) => normalDn(group) ?? group
  const { group_map, admin_groups, login_groups } = settings
  return {
    ...settings,
    group_map: group_map && Object.fromEntries(Object.entries(group_map).map(([from, to]) => [normal(from), to])),
    admin_groups: admin_groups.map(normal),
    login_groups: login_groups.map(normal),
  }
}

function parses(text: string): boolean {
  try {
    FilterParser.parseString(text)
    return true
  } catch {
    return false
  }
}

function hasOnlyAHost(text: string): boolean {
  return /^ldaps?:\/\/[^/?#@]+\/?$/.test(text)
}

function isTemplate(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9-]*=\{user\},[^{}]+$/.test(text) && normalDn(text) !== undefined
}

function holdsCertificates(pem: string): boolean {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    return found.map((one) => new X509Certificate(one)).length > 0
  } catch {
    return false
  }
}
