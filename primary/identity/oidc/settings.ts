/** What an administrator says about an OpenID provider. */
import { z } from 'zod'
import { admissionFields } from '../admission.js'

const claim = z.string().min(1).max(128)

export const oidcSettings = z.strictObject({
  ...admissionFields,
  issuer: z
    .url({ protocol: /^https?$/ })
    .max(512)
    .meta({ description: 'As the provider calls itself' }),
  client_id: z.string().min(1).max(512),
  client_secret: z.string().min(1).max(1024).optional().meta({ description: 'Left out for a public client' }),
  token_auth: z.enum(['basic', 'post']).default('basic').meta({ description: 'How the secret is sent' }),
  scopes: z.array(z.string().min(1).max(128)).min(1).max(20).default(['openid', 'profile', 'email']),
  name_claim: claim.default('preferred_username'),
  groups_claims: z.array(claim).max(10).default(['groups']).meta({
    description: 'Claims whose values are groups, also below others: realm_access.roles. None: groups are local',
  }),
  refresh_minutes: z.number().int().min(0).max(10_080).default(60).meta({
    description: 'How often groups are asked for anew, where the provider gives a refresh token; 0: at log-in only',
  }),
  outage_grace_hours: z.number().int().min(0).max(720).default(24).meta({
    description: 'For how long sessions go on when they cannot be asked for',
  }),
  allow_http: z
    .boolean()
    .default(false)
    .meta({ description: 'For tests: everything can be read and changed on its way' }),
})

export type OidcSettings = z.output<typeof oidcSettings>
