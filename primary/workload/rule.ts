/**
 * Which workloads of an issuer (jobs of a CI system, pods of a cluster) speak for which account, and how far. All claims that a rule
 * names must fit; a rule that names the owner's id is proof against a name that became somebody else's.
 */
import type { JWTPayload } from 'jose'
import { z } from 'zod'
import { isScope } from '../../protocol/access/scope.js'
import { matchesAny } from '../../protocol/glob.js'

const pattern = z.string().min(1).max(512)
const scope = z.string().max(100).refine(isScope, 'is no scope')

/** Claims that tell one tenant of an issuer from another. */
const OWNERS = new Set([
  'sub',
  'repository',
  'repository_id',
  'repository_owner',
  'repository_owner_id',
  'project_id',
  'project_path',
  'namespace_id',
  'namespace_path',
  'job_workflow_ref',
])

export const trustRule = z.strictObject({
  issuer: z.url({ protocol: /^https?$/ }).max(512),
  audiences: z
    .array(z.string().min(1).max(512))
    .min(1)
    .max(10)
    .optional()
    .meta({ description: "Default: this registry's URL, its host, and `npm:` with its host" }),
  claims: z
    .record(z.string().min(1).max(128), z.union([pattern, z.array(pattern).min(1).max(50)]))
    .refine((claims) => Object.keys(claims).some((name) => OWNERS.has(name) && !isAnything(claims[name])), {
      error: `must name whose workloads they are: one of ${[...OWNERS].join(', ')}`,
    })
    .meta({ description: 'Values, or globs over them; of several one must fit' }),
  account: z.string().min(1).max(63).meta({ description: 'Whom they speak for; no administrator' }),
  scopes: z.array(scope).min(1).max(50),
  lifetime_minutes: z.number().int().min(1).max(60).default(15),
  allow_pull_requests: z.boolean().default(false).meta({ description: 'Also jobs that run what outsiders propose' }),
  reusable: z.boolean().default(false).meta({ description: 'Tokens may come again, as those do that lie in a file' }),
  max_age_minutes: z.number().int().min(1).max(1440).default(60),
  jwks_uri: z.url().max(512).optional().meta({ description: 'Where the keys are, for issuers without discovery' }),
  jwks: z
    .looseObject({ keys: z.array(z.unknown()) })
    .optional()
    .meta({ description: 'The keys, where they cannot be fetched' }),
  allow_http: z.boolean().default(false),
})

export type TrustRule = z.output<typeof trustRule>

/** undefined: the rule admits the workload. Otherwise one sentence. */
export function refusal(rule: TrustRule, claims: JWTPayload): string | undefined {
  for (const [name, wanted] of Object.entries(rule.claims)) {
    const value = textOf(claims[name])
    if (value === undefined || !matchesAny([wanted].flat(), value)) return `its ${name} is another one`
  }
  if (!rule.allow_pull_requests && isOfPullRequest(claims)) return 'it runs for a pull request'
  return undefined
}

function isAnything(wanted: string | string[] | undefined): boolean {
  return [wanted ?? []].flat().some((one) => /^\*+$/.test(one))
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

/** GitHub says it as `event_name`, GitLab as `pipeline_source`. */
function isOfPullRequest({ event_name, pipeline_source, sub }: JWTPayload): boolean {
  if (typeof event_name === 'string' && event_name.startsWith('pull_request')) return true
  if (pipeline_source === 'merge_request_event' || pipeline_source === 'external_pull_request_event') return true
  return typeof sub === 'string' && sub.endsWith(':pull_request')
}
