/** What a client can find out before it begins (RFC 7643, sections 5 to 7; RFC 7644, section 4). */
import type { Values } from './evaluate.js'
import { listJson, MAX_PAGE } from './list.js'
import { type Attribute, type ResourceType, resourceTypes } from './schema.js'

const CORE = 'urn:ietf:params:scim:schemas:core:2.0'

export function serviceProviderConfig(base: string): Values {
  return {
    schemas: [`${CORE}:ServiceProviderConfig`],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: MAX_PAGE },
    changePassword: { supported: false },
    sort: { supported: true },
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token',
        description: 'A token made for the identity provider',
        specUri: 'https://www.rfc-editor.org/info/rfc6750',
        primary: true,
      },
    ],
    meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
  }
}

export function resourceTypeList(base: string): Values[] {
  return resourceTypes.map((type) => ({
    schemas: [`${CORE}:ResourceType`],
    id: type.name,
    name: type.name,
    endpoint: type.endpoint,
    schema: type.schema,
    ...(type.extension ? { schemaExtensions: [{ schema: type.extension.schema, required: false }] } : {}),
    meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${type.name}` },
  }))
}

export function schemaList(base: string): Values[] {
  return resourceTypes
    .flatMap((type) => schemasOf(type))
    .map((schema) => ({
      ...schema,
      meta: { resourceType: 'Schema', location: `${base}/Schemas/${schema.id}` },
    }))
}

export function wholeList(items: Values[]): Values {
  return listJson({ total: items.length, items }, { offset: 0 })
}

function schemasOf({ name, schema, attributes, extension }: ResourceType) {
  const own = { schemas: [`${CORE}:Schema`], id: schema, name, attributes: attributes.map(described) }
  if (!extension) return [own]
  const { name: title, schema: id, attributes: more } = extension
  return [own, { schemas: [`${CORE}:Schema`], id, name: title, attributes: more.map(described) }]
}

function described(attribute: Attribute): Values {
  const { name, type, multiValued, caseExact, required, readOnly, unique, sub } = attribute
  return {
    name,
    type,
    multiValued: multiValued === true,
    required: required === true,
    ...(type === 'string' || type === 'reference' ? { caseExact: caseExact === true } : {}),
    ...(type === 'reference' ? { referenceTypes: ['external', 'uri'] } : {}),
    mutability: readOnly ? 'readOnly' : 'readWrite',
    returned: 'default',
    uniqueness: unique ? 'server' : 'none',
    ...(sub ? { subAttributes: sub.map(described) } : {}),
  }
}
