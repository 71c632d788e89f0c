/** What an administrator says about a SAML identity provider. */
import { z } from 'zod'
import { admissionFields } from '../admission.js'

const attribute = z.string().min(1).max(256)
const attributes = z.array(attribute).max(20)

/** By their names (eduPerson, RFC 4519, Active Directory Federation Services, Entra), or by what providers call them for people. */
const NAMES = [
  'uid',
  'urn:oid:0.9.2342.19200300.100.1.1',
  'username',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name',
  'eduPersonPrincipalName',
  'urn:oid:1.3.6.1.4.1.5923.1.1.1.6',
]
const EMAILS = [
  'mail',
  'urn:oid:0.9.2342.19200300.100.1.3',
  'email',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress',
]
const GROUPS = [
  'groups',
  'memberOf',
  'isMemberOf',
  'urn:oid:1.3.6.1.4.1.5923.1.5.1.1',
  'http://schemas.xmlsoap.org/claims/Group',
  'http://schemas.microsoft.com/ws/2008/06/identity/claims/groups',
]

export const samlSettings = z.strictObject({
  ...admissionFields,
  issuer: z.string().min(1).max(1024).meta({ description: 'entityID of the identity provider' }),
  metadata: z
    .string()
    .max(512 * 1024)
    .optional()
    .meta({ description: 'Of the identity provider, as XML' }),
  metadata_url: z
    .url({ protocol: /^https?$/ })
    .max(1024)
    .optional()
    .meta({ description: 'Where it is asked for instead, once an hour' }),
  entity_id: z.string().min(1).max(1024).optional().meta({
    description: 'What the identity provider knows this registry as; else the address of its metadata',
  }),
  subject_attribute: attribute.optional().meta({
    description:
      'An attribute that never changes and never becomes another person; else it is the NameID, if that is not transient',
  }),
  name_id_format: z
    .enum(['persistent', 'emailAddress', 'unspecified'])
    .default('persistent')
    .meta({ description: 'What is asked for' }),
  name_attributes: attributes
    .default(NAMES)
    .meta({ description: 'By name or friendly name; the first that has a value' }),
  email_attributes: attributes.default(EMAILS),
  email_verified: z
    .boolean()
    .default(false)
    .meta({ description: 'The identity provider lets nobody choose an address' }),
  groups_attributes: attributes.default(GROUPS).meta({
    description: 'All of their values are groups. None: groups are local',
  }),
  idp_initiated: z.boolean().default(false).meta({
    description: 'Log-ins may begin at the identity provider; others can then log a browser in as themselves',
  }),
  clock_skew_seconds: z.number().int().min(0).max(300).default(60),
  allow_http: z
    .boolean()
    .default(false)
    .meta({ description: 'For tests: everything can be read and changed on its way' }),
})

export type SamlSettings = z.output<typeof samlSettings>
