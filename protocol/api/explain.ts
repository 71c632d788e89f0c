/**
 * Why somebody gets a package from a repository, or does not: what a read would do, member by member, said instead of done. Of members
 * that the asker may not see there is not a word, and what only they know looks like what nobody knows.
 */
import { z } from 'zod'
import type { Gate } from '../access/gate.js'
import { RegistryError } from '../errors.js'
import type { Format } from '../format.js'
import type { Member } from '../members.js'
import type { Blobs, Metadata, Principal } from '../ports.js'
import type { RepositoryRecord, Version } from '../records.js'
import type { Repository, Single } from '../repository.js'
import { time } from './shapes.js'

const rule = z.enum(['access', 'reserved', 'blocked', 'cooldown'])

const memberShape = z
  .object({
    key: z.string(),
    repo_type: z.enum(['local', 'remote']),
    state: z.enum(['known', 'unknown', 'not_asked', 'unavailable']).meta({
      description: 'not_asked: another member answers for the name, or a rule or your rights are in the way',
    }),
    allowed: z.boolean().meta({ description: 'Would it give it out' }),
    rule: rule.nullable().meta({ description: 'What forbids it' }),
    reason: z.string(),
    until: time.nullable().meta({ description: 'When a cooldown ends' }),
    versions: z.number().nullable().meta({ description: 'How many of the package may be used' }),
    age_seconds: z.number().nullable().meta({ description: 'Since the upstream last said so; null: not known here' }),
    stale: z
      .boolean()
      .meta({ description: 'It should have been looked at again, and the upstream could not be asked' }),
    files: z.number().nullable().meta({ description: 'Of the version' }),
    files_held: z.number().nullable().meta({ description: 'Those whose bytes are on this machine' }),
  })
  .meta({ id: 'ExplanationOfMember' })

export const explanationShape = z
  .object({
    repository: z.string(),
    package: z.string(),
    version: z.string().nullable(),
    found: z.boolean(),
    allowed: z.boolean(),
    rule: rule.nullable(),
    reason: z.string().meta({ description: 'One sentence' }),
    served_by: z.string().nullable().meta({ description: 'The member that gives it out' }),
    members: z.array(memberShape).meta({ description: 'That you may see, in order' }),
  })
  .meta({ id: 'Explanation' })

export const explainQuery = z.strictObject({
  package: z.string().min(1).max(1024),
  version: z.string().min(1).max(512).optional().meta({ description: 'Or a tag' }),
})

export interface Explaining {
  metadata: Pick<Metadata, 'file'>
  gate: Gate
  formats: readonly Format[]
  /** As for a read, with the errors of one. */
  open: (record: RepositoryRecord, principal: Principal) => Repository
  members: (record: RepositoryRecord) => Member[]
  /** Does a virtual repository show all members' versions of a name. */
  merges: (record: RepositoryRecord, name: string) => boolean
  blobs: Pick<Blobs, 'has'>
}

type Explanation = z.input<typeof explanationShape>
type OfMember = z.input<typeof memberShape>
interface Asked {
  name: string
  version: string | undefined
}

export async function explain(
  over: Explaining,
  record: RepositoryRecord,
  principal: Principal,
  query: z.output<typeof explainQuery>,
): Promise<Explanation> {
  const { gate, formats } = over
  const grammar = formats.find(({ name }) => name === record.format)?.grammar
  const asked = { name: grammar?.name?.(query.package) ?? query.package, version: query.version }
  const about = { repository: record.key, package: asked.name, version: asked.version ?? null }
  const { allowed, reason } = gate.decide(principal, 'read', record, grammar?.path?.(asked.name) ?? asked.name)
  const nothing = { ...about, found: false, allowed: false, served_by: null }
  if (!allowed) return { ...nothing, rule: 'access', reason, members: [] }
  over.open(record, principal)
  const members = await each(over, record, principal, asked)
  const serving = members.find((member) => member.allowed)
  if (serving)
    return {
      ...nothing,
      found: true,
      allowed: true,
      rule: null,
      reason: serving.reason,
      served_by: serving.key,
      members,
    }
  // Rights of a member say nothing about the package.
  const refusing = members.find((member) => member.rule !== null && member.rule !== 'access')
  const found = members.some((member) => member.state === 'known')
  const away = members.find((member) => member.state === 'unavailable')
  const said = refusing ?? away
  return {
    ...nothing,
    found,
    rule: refusing?.rule ?? null,
    reason: said?.reason ?? `${record.key} has no ${label(asked)}`,
    members,
  }
}

/** By the order of kinds/virtual.ts: local members that know the name, or else the first remote one that does; all, of a merged name. */
async function each(
  over: Explaining,
  record: RepositoryRecord,
  principal: Principal,
  asked: Asked,
): Promise<OfMember[]> {
  const explained = new Map<Member, OfMember>()
  const all = over.members(record)
  const reads = (member: Member) =>
    member.record === record || over.gate.decide(principal, 'read', member.record).allowed
  const merges = over.merges(record, asked.name)
  let answered = false
  let isHidden = false
  const inTurn = [...all.filter(isLocal), ...all.filter((member) => !isLocal(member))]
  for (const member of inTurn) {
    const { reason } = over.gate.decide(principal, 'read', member.record)
    if (!reads(member)) {
      isHidden ||= isLocal(member) && (await member.repository.package(asked.name)) !== undefined
      if (over.gate.sees(principal, member.record)) explained.set(member, notAsked(member, reason, 'access'))
      continue
    }
    const made = await ofMember(over, member, asked, { answered: answered && !isLocal(member), isHidden })
    answered ||= !merges && (made.state === 'known' || made.state === 'unavailable')
    explained.set(member, made)
  }
  return all.flatMap((member) => explained.get(member) ?? [])
}

async function ofMember(
  over: Explaining,
  member: Member,
  asked: Asked,
  { answered, isHidden }: { answered: boolean; isHidden: boolean },
): Promise<OfMember> {
  const { repository, record } = member
  if (repository.reserves?.(asked.name))
    return notAsked(member, `${asked.name} is reserved: it is never looked up at an upstream`, 'reserved')
  if (answered) return notAsked(member, 'A member before it answers for the name', null)
  try {
    const known = isHidden && !isLocal(member) ? undefined : await repository.package(asked.name)
    if (!known) return { ...bare(member), reason: `${record.key} does not know ${asked.name}` }
    const found = {
      ...bare(member),
      state: 'known' as const,
      versions: known.versions,
      ...freshnessOf(repository, asked.name),
    }
    return { ...found, ...(await judgement(over, member, asked, known.versions)) }
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    if (error.kind === 'forbidden')
      return { ...bare(member), state: 'known', rule: ruleOf(error), reason: error.message }
    return { ...bare(member), state: 'unavailable', reason: error.message, ...freshnessOf(repository, asked.name) }
  }
}

async function judgement(
  over: Explaining,
  { repository, record }: Member,
  asked: Asked,
  usable: number,
): Promise<Partial<OfMember>> {
  const version = await versionOf(repository, asked)
  if (!version) {
    if (asked.version !== undefined)
      return { reason: `${record.key} knows ${asked.name}, and no ${asked.version} of it` }
    // Where none may be used, reading them ends with why.
    for await (const _ of repository.versions(asked.name)) break
    return { allowed: usable > 0, reason: `${usable} of its versions may be used, from ${record.key}` }
  }
  const files = await filesOf(over, record, version)
  const refusal = repository.judge?.(version)
  if (!refusal) return { ...files, allowed: true, reason: `${label(asked)} is given out by ${record.key}` }
  const until = refusal.untilMs === undefined ? null : new Date(refusal.untilMs).toISOString()
  return { ...files, rule: refusal.rule, reason: refusal.reason, until }
}

/** A file without versions has one, which is called ''. */
async function versionOf(repository: Single, { name, version = '' }: Asked): Promise<Version | undefined> {
  const found = await repository.recorded(name, version)
  if (found || version === '') return found
  const tagged = await repository.tag(name, version)
  return tagged === undefined ? undefined : repository.recorded(name, tagged)
}

async function filesOf({ metadata, blobs }: Explaining, { scope }: RepositoryRecord, { files }: Version) {
  let held = 0
  for (const file of files) {
    const digest = 'offered' in file ? (await metadata.file(scope, file.path))?.digest : file.digest
    if (digest !== undefined && (await blobs.has(digest))) held++
  }
  return { files: files.length, files_held: held }
}

function freshnessOf(repository: Repository, name: string): Pick<OfMember, 'age_seconds' | 'stale'> {
  const { stale = false, ageSeconds } = repository.freshness?.(name) ?? {}
  return { stale, age_seconds: ageSeconds ?? null }
}

function notAsked(member: Member, reason: string, by: OfMember['rule']): OfMember {
  return { ...bare(member), state: 'not_asked', rule: by, reason }
}

function bare({ record }: Member): OfMember {
  return {
    key: record.key,
    repo_type: record.type === 'local' ? 'local' : 'remote',
    state: 'unknown',
    allowed: false,
    rule: null,
    reason: '',
    until: null,
    versions: null,
    age_seconds: null,
    stale: false,
    files: null,
    files_held: null,
  }
}

function ruleOf({ code }: RegistryError): OfMember['rule'] {
  return rule.safeParse(code).data ?? null
}

function isLocal({ record }: Member): boolean {
  return record.type === 'local'
}

function label({ name, version }: Asked): string {
  return version === undefined ? name : `${name}@${version}`
}
