/**
 * SCIM as a kind of identity provider: one that says which users and groups there are, and logs nobody in. How its people log in,
 * another provider's key says.
 */
import { z } from 'zod'
import { RegistryError } from '../../protocol/errors.js'
import { admissionFields } from '../identity/admission.js'
import type { ProviderKind } from '../identity/provider.js'

export const SCIM = 'scim'
const { group_map, group_prefix, admin_groups } = admissionFields

const scimSettings = z.strictObject({
  group_map,
  group_prefix,
  admin_groups,
  log_in_with: z.string().max(32).optional().meta({
    description:
      'Key of the provider at which these people log in; they are found by `log_in_match`, and by nothing else',
  }),
  log_in_match: z.enum(['external_id', 'user_name', 'email']).default('external_id').meta({
    description:
      "What the log-in's subject, name or verified address is here: externalId, userName or one of the emails",
  }),
})
export type ScimSettings = z.output<typeof scimSettings>

/** Of settings that were checked. */
export function scimSettingsOf(settings: object): ScimSettings {
  return scimSettings.parse(settings)
}

export const scim: ProviderKind<ScimSettings> = {
  kind: SCIM,
  settings: scimSettings,
  secrets: [],
  realm: () => '',
  check: async ({ log_in_with }, { pool }) => {
    if (log_in_with === undefined) return
    const { rows } = await pool.query<{ kind: string }>('select kind from identity_provider where key = $1', [
      log_in_with,
    ])
    if (!rows[0]) throw new RegistryError('invalid', `There is no identity provider ${log_in_with} to log in with`)
    if (rows[0].kind === SCIM) throw new RegistryError('invalid', 'Nobody logs in by SCIM')
  },
  open: () => ({}),
}
