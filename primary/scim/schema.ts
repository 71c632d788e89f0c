/**
 * What users and groups are made of (RFC 7643), as data: it says what is read of a body, what a filter and a path may name, and what
 * `Schemas` tells. Names are found whatever their case. Passwords are not among it, so one that is sent is never kept.
 */

export interface Attribute {
  name: string
  type: 'string' | 'boolean' | 'complex' | 'reference' | 'dateTime'
  multiValued?: true
  caseExact?: true
  required?: true
  readOnly?: true
  unique?: true
  sub?: readonly Attribute[]
}

export interface ResourceType {
  name: 'User' | 'Group'
  endpoint: '/Users' | '/Groups'
  schema: string
  attributes: readonly Attribute[]
  extension?: { name: string; schema: string; attributes: readonly Attribute[] }
}

/** `extension`: the schema's name where it is one. */
export interface Path {
  extension?: string
  attribute: Attribute
  sub?: Attribute
}

const CORE = 'urn:ietf:params:scim:schemas:core:2.0'
export const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'

const text = (name: string, more: Partial<Attribute> = {}): Attribute => ({ name, type: 'string', ...more })
const texts = (...names: string[]): Attribute[] => names.map((name) => text(name))
const complex = (name: string, sub: readonly Attribute[], more: Partial<Attribute> = {}): Attribute => ({
  name,
  type: 'complex',
  sub,
  ...more,
})
const primary: Attribute = { name: 'primary', type: 'boolean' }
const reference = (name: string, more: Partial<Attribute> = {}): Attribute => ({
  name,
  type: 'reference',
  caseExact: true,
  ...more,
})
const list = (name: string, value: Attribute = text('value')): Attribute =>
  complex(name, [value, ...texts('display', 'type'), primary], { multiValued: true })

/** Of every resource, in no schema of its own. */
const common: readonly Attribute[] = [
  text('id', { caseExact: true, readOnly: true }),
  text('externalId', { caseExact: true }),
  complex(
    'meta',
    [
      text('resourceType', { caseExact: true, readOnly: true }),
      { name: 'created', type: 'dateTime', readOnly: true },
      { name: 'lastModified', type: 'dateTime', readOnly: true },
    ],
    { readOnly: true },
  ),
]

const address = complex(
  'addresses',
  [...texts('formatted', 'streetAddress', 'locality', 'region', 'postalCode', 'country', 'type'), primary],
  { multiValued: true },
)

export const user: ResourceType = {
  name: 'User',
  endpoint: '/Users',
  schema: `${CORE}:User`,
  attributes: [
    text('userName', { required: true, unique: true }),
    complex('name', texts('formatted', 'familyName', 'givenName', 'middleName', 'honorificPrefix', 'honorificSuffix')),
    ...texts('displayName', 'nickName'),
    reference('profileUrl'),
    ...texts('title', 'userType', 'preferredLanguage', 'locale', 'timezone'),
    { name: 'active', type: 'boolean' },
    list('emails'),
    list('phoneNumbers'),
    list('ims'),
    list('photos', reference('value')),
    address,
    complex(
      'groups',
      [
        text('value', { caseExact: true, readOnly: true }),
        reference('$ref', { readOnly: true }),
        text('display', { readOnly: true }),
        text('type', { readOnly: true }),
      ],
      { multiValued: true, readOnly: true },
    ),
    list('entitlements'),
    list('roles'),
  ],
  extension: {
    name: 'EnterpriseUser',
    schema: ENTERPRISE,
    attributes: [
      ...texts('employeeNumber', 'costCenter', 'organization', 'division', 'department'),
      complex('manager', [text('value', { caseExact: true }), reference('$ref'), text('displayName')]),
    ],
  },
}

export const group: ResourceType = {
  name: 'Group',
  endpoint: '/Groups',
  schema: `${CORE}:Group`,
  attributes: [
    text('displayName', { required: true, unique: true }),
    complex('members', [text('value', { caseExact: true }), reference('$ref'), text('type')], { multiValued: true }),
  ],
}

export const resourceTypes: readonly ResourceType[] = [user, group]

export function attributeOf(attributes: readonly Attribute[], name: string): Attribute | undefined {
  const wanted = name.toLowerCase()
  return attributes.find((attribute) => attribute.name.toLowerCase() === wanted)
}

/** `name.familyName`, with its schema before it or without. undefined: there is no such attribute. */
export function pathOf(resource: ResourceType, written: string): Path | undefined {
  const { extension } = resource
  const inCore = below(written, resource.schema)
  const inExtension = extension && below(written, extension.schema)
  if (inExtension !== undefined && extension) return within(extension.attributes, inExtension, extension.schema)
  return within([...common, ...resource.attributes], inCore ?? written)
}

function below(written: string, schema: string): string | undefined {
  const prefix = `${schema}:`
  return written.toLowerCase().startsWith(prefix.toLowerCase()) ? written.slice(prefix.length) : undefined
}

function within(attributes: readonly Attribute[], written: string, extension?: string): Path | undefined {
  const [name = '', subName, ...rest] = written.split('.')
  const attribute = attributeOf(attributes, name)
  if (!attribute || rest.length > 0) return undefined
  const sub = subName === undefined ? undefined : attributeOf(attribute.sub ?? [], subName)
  if (subName !== undefined && !sub) return undefined
  return { attribute, ...(sub ? { sub } : {}), ...(extension === undefined ? {} : { extension }) }
}

/** What is meant where a complex attribute is compared as a whole: its `value`. */
export function comparedAt({ attribute, sub }: Path): Attribute | undefined {
  if (sub) return sub
  return attribute.sub ? attributeOf(attribute.sub, 'value') : attribute
}
