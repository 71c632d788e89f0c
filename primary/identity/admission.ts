/** What every provider's settings say about whom they let in, and as what. */
import { z } from 'zod'
import { RegistryError } from '../../protocol/errors.js'
import type { Identity } from './identity.js'

const groupName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\p{Cc}]+$/u, 'a group name has no control characters')

/** Spread into the settings of each kind. */
export const admissionFields = {
  create_accounts: z.boolean().default(true).meta({ description: 'The first log-in makes the account' }),
  link_by_email: z.boolean().default(false).meta({
    description: 'The first log-in joins the account with the same, verified e-mail address; no administrator',
  }),
  group_map: z
    .record(z.string().max(512), z.array(groupName).max(20))
    .optional()
    .meta({ description: 'Groups as the provider calls them, and what they are here; others do not count' }),
  group_prefix: z.string().max(32).default('').meta({ description: 'Before each group that is not mapped' }),
  login_groups: z.array(z.string().max(512)).max(50).default([]).meta({
    description: 'Groups as the provider calls them: only members of one of them are let in. None: everybody is',
  }),
  admin_groups: z.array(z.string().max(512)).max(50).default([]).meta({
    description: 'Groups as the provider calls them, whose members are administrators; others are none',
  }),
}

const admission = z.object(admissionFields)
export type Admission = z.output<typeof admission>

/** Of settings that were checked by their kind. */
export function admissionOf(settings: object): Admission {
  return admission.parse(settings)
}

const MAX_GROUPS = 1000

/** The groups here; undefined: the provider does not tell. Names that no group can have do not count. */
export function groupsOf(
  { groups }: Pick<Identity, 'groups'>,
  { group_map, group_prefix }: Admission,
): string[] | undefined {
  if (groups === undefined) return undefined
  const own = new Map(Object.entries(group_map ?? {}))
  const here = groups.flatMap((group) => (group_map ? (own.get(group) ?? []) : [group_prefix + group]))
  const known = [...new Set(here)].filter((group) => groupName.safeParse(group).success)
  if (known.length > MAX_GROUPS)
    throw new RegistryError(
      'forbidden',
      `The provider tells more than ${MAX_GROUPS} groups; an administrator can map some`,
      {
        code: 'too_many_groups',
      },
    )
  return known.sort()
}

/** Is it let in, by its groups. */
export function isAdmitted({ groups = [] }: Identity, { login_groups }: Admission): boolean {
  return login_groups.length === 0 || groups.some((group) => login_groups.includes(group))
}

export function adminOf({ admin, groups }: Identity, { admin_groups }: Admission): boolean | undefined {
  if (admin !== undefined || admin_groups.length === 0 || groups === undefined) return admin
  return groups.some((group) => admin_groups.includes(group))
}
