/** Rules as REST has them: the fields of a repository, each replaced as a whole when it is given. */
import { z } from 'zod'
import type { Digest, Rules } from '../records.js'

const MAX_RULES = 1000
const NONE: Rules = { cooldownDays: 0, cooldownExceptions: [], blocked: [], reservedNames: [], mergedNames: [] }

const glob = z.string().trim().min(1).max(300)
const versions = z.string().trim().min(1).max(300)

const block = z
  .strictObject({
    name: glob.optional().meta({ description: 'Glob over package names' }),
    versions: versions
      .optional()
      .meta({ description: 'Versions, also with "*", and comparisons: ">=1.0 <1.4.2". One of those, or all of these' }),
    digest: z
      .string()
      .regex(/^(?:sha256:)?[0-9A-Fa-f]{64}$/, 'must be a SHA-256 in hexadecimal')
      .optional()
      .meta({ description: 'SHA-256 of any of its files' }),
    licence: glob.optional().meta({ description: 'Glob over the licence that its entry tells (npm)' }),
    reason: z.string().trim().min(1).max(1000).meta({ description: 'Told to whoever asks for it' }),
  })
  .refine(({ name, versions: range, digest, licence }) => [name, range, digest, licence].some(Boolean), {
    message: 'needs a name, versions, digest or licence',
  })
  .meta({ id: 'Block', description: 'A version that fits everything that is given is left out of indexes and refused' })

/** Shown to those who administer the repository. */
export const ruleFields = z
  .object({
    cooldown_days: z
      .number()
      .int()
      .min(0)
      .max(3650)
      .nullable()
      .meta({ description: 'Versions of upstreams that are younger are left out of indexes and refused' }),
    cooldown_exceptions: z
      .array(glob)
      .max(MAX_RULES)
      .meta({ description: 'Names (globs) that need not wait, or name@versions' }),
    blocked: z.array(block).max(MAX_RULES),
    reserved_names: z
      .array(glob)
      .max(MAX_RULES)
      .meta({ description: 'Names (globs) that are never looked up at an upstream: "@acme/*", "com.acme*"' }),
    merged_names: z.array(glob).max(MAX_RULES).meta({
      description: 'Of virtual repositories: names (globs) of which all members show their versions, local and remote',
    }),
  })
  .partial().shape

type Given = z.output<z.ZodObject<typeof ruleFields>>

/** The rules with what was given in place of what was; undefined: there are none. */
export function changedRules(before: Rules | undefined, given: Given): Rules | undefined {
  const { cooldownDays, cooldownExceptions, blocked, reservedNames, mergedNames } = before ?? NONE
  const rules: Rules = {
    cooldownDays: given.cooldown_days === undefined ? cooldownDays : (given.cooldown_days ?? 0),
    cooldownExceptions: given.cooldown_exceptions ?? cooldownExceptions,
    blocked: given.blocked?.map(blockOf) ?? blocked,
    reservedNames: given.reserved_names ?? reservedNames,
    mergedNames: given.merged_names ?? mergedNames,
  }
  const isEmpty =
    rules.cooldownDays === 0 &&
    [rules.cooldownExceptions, rules.blocked, rules.reservedNames, rules.mergedNames].every((list) => list.length === 0)
  return isEmpty ? undefined : rules
}

export function rulesJson(rules: Rules = NONE) {
  const { cooldownDays, cooldownExceptions, blocked, reservedNames, mergedNames } = rules
  return {
    cooldown_days: cooldownDays,
    cooldown_exceptions: cooldownExceptions,
    blocked,
    reserved_names: reservedNames,
    merged_names: mergedNames,
  }
}

export function givesRules(given: Given): boolean {
  return Object.keys(ruleFields).some((field) => given[field as keyof Given] !== undefined)
}

function blockOf({ digest, reason, ...rest }: z.output<typeof block>): Rules['blocked'][number] {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  const bare = digest?.toLowerCase().replace(/^sha256:/, '') as Digest | undefined
  return { ...given, ...(bare === undefined ? {} : { digest: bare }), reason }
}
