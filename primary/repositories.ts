/**
 * Making, changing and removing repositories: what a key may look like, what fits together, and one commit for each. A repository
 * that is deleted and made again gets another scope, so nothing of the old one comes back.
 */
import { randomUUID } from 'node:crypto'
import { RegistryError } from '../protocol/errors.js'
import type { Format, Grammar } from '../protocol/format.js'
import type { Ledger } from '../protocol/ledger.js'
import type { Metadata } from '../protocol/ports.js'
import {
  FLEET,
  type GrantRecord,
  type RepositoryRecord,
  type RepositoryType,
  type Rules,
  type Settings,
  type Step,
} from '../protocol/records.js'
import { Screen } from '../protocol/rules/screen.js'
import { Turn } from './accounts/turn.js'
import { changedSettings, type SettingChanges } from './setting-changes.js'
import type { Credentials, UpstreamCredential } from './upstream/credentials.js'
import type { Documents } from './upstream/documents.js'

export interface RepositoriesOptions {
  metadata: Metadata
  ledger: Ledger
  /** Names of the formats that exist. */
  formats: readonly string[]
  /** What can be chosen for repositories of a format; default nothing. */
  settings?: (format: string) => Format['settings']
  /** Those that can be read from an upstream; default all. */
  remoteFormats?: readonly string[]
  /** What rules need to know of a format. */
  grammar?: (format: string) => Grammar | undefined
  /** Kinds that this program serves. */
  types: readonly RepositoryType[]
  now?: () => Date
  /** Where credentials for upstreams are kept. */
  credentials?: Pick<Credentials, 'set'>
  /** What is remembered about upstreams' documents. */
  documents?: Pick<Documents, 'forget'>
  /** Shared with whoever changes projects. */
  turn?: Turn
}

export interface RepositoryDraft {
  key: string
  format: string
  type: RepositoryType
  name?: string | undefined
  description?: string | undefined
  public?: boolean | undefined
  project?: string | undefined
  redeploy?: boolean | undefined
  /** Of local repositories only. */
  immutableTags?: string[] | undefined
  quota?: number | undefined
  upstream?: string | undefined
  mirrors?: string[] | undefined
  metadataTtlSeconds?: number | undefined
  /** Not of virtual ones. */
  maxStalenessSeconds?: number | undefined
  /** null takes them away. */
  credential?: UpstreamCredential | null | undefined
  /** null takes one away. */
  settings?: SettingChanges | undefined
  rules?: Rules | undefined
  members?: string[] | undefined
}

/** `null` removes what can be unset. */
export type RepositoryChanges = Partial<
  Pick<
    RepositoryDraft,
    | 'name'
    | 'description'
    | 'public'
    | 'redeploy'
    | 'immutableTags'
    | 'upstream'
    | 'mirrors'
    | 'metadataTtlSeconds'
    | 'credential'
    | 'settings'
  >
> & {
  quota?: number | null | undefined
  maxStalenessSeconds?: number | null | undefined
  /** null takes it out of its project. */
  project?: string | null | undefined
  rules?: Rules | null | undefined
}

const KEY = /^[a-z0-9][a-z0-9._-]{0,62}$/
const RESERVED = ['api', 'health', 'ready', 'metrics', 'v2', 'artifactory', 'repository', 'fleet', 'admin']
const MAX_MEMBERS = 100

export class Repositories {
  readonly #options: RepositoriesOptions
  readonly #turn: Turn

  constructor(options: RepositoriesOptions) {
    this.#options = options
    this.#turn = options.turn ?? new Turn()
  }

  create(draft: RepositoryDraft, by: string): Promise<RepositoryRecord> {
    return this.#turn.run(async () => {
      this.#checkDraft(draft)
      const { key, format, type } = draft
      const members = draft.members ?? []
      const record: RepositoryRecord = {
        scope: randomUUID(),
        key,
        name: draft.name ?? key,
        format,
        type,
        public: draft.public ?? false,
        ...(draft.project === undefined ? {} : { project: this.#project(draft.project) }),
        redeploy: draft.redeploy ?? false,
        ...(draft.immutableTags === undefined ? {} : { immutableTags: draft.immutableTags }),
        ...(draft.quota === undefined ? {} : { quota: draft.quota }),
        ...(draft.upstream === undefined ? {} : { upstream: checkUpstream(draft.upstream) }),
        ...(draft.mirrors === undefined ? {} : { mirrors: draft.mirrors.map(checkUpstream) }),
        ...(draft.metadataTtlSeconds === undefined ? {} : { metadataTtlSeconds: draft.metadataTtlSeconds }),
        ...(draft.maxStalenessSeconds === undefined ? {} : { maxStalenessSeconds: draft.maxStalenessSeconds }),
        ...this.#settings(draft, draft.settings),
        description: draft.description ?? '',
        members: [],
        ...(draft.rules === undefined ? {} : { rules: draft.rules }),
        createdAt: (this.#options.now?.() ?? new Date()).toISOString(),
      }
      this.#checkRules(record)
      for (const member of members) this.#checkMember(record, member)
      // Before the name: nothing is asked of the upstream without them.
      if (draft.credential) await this.#keep(record, draft.credential)
      const whole = withMembers(
        record,
        members.map((member, i) => ({ member, priority: i + 1 })),
      )
      await this.#commit([{ kind: 'repository', key, record: whole }], by)
      return whole
    })
  }

  update(key: string, changes: RepositoryChanges, by: string): Promise<RepositoryRecord> {
    return this.#turn.run(async () => {
      const {
        quota: before,
        maxStalenessSeconds: bound,
        rules: ruled,
        settings,
        project: owner,
        ...rest
      } = this.#existing(key)
      const rules = changes.rules === undefined ? ruled : (changes.rules ?? undefined)
      const upstream = changes.upstream === undefined ? undefined : checkUpstream(changes.upstream)
      if (rest.type !== 'remote' && OF_REMOTE.some((field) => changes[field] !== undefined)) throw notRemote()
      if (rest.type !== 'local' && changes.immutableTags !== undefined) throw notLocal()
      if (rest.type === 'virtual' && changes.maxStalenessSeconds !== undefined) throw notOfVirtual()
      const staleness = changes.maxStalenessSeconds === undefined ? bound : (changes.maxStalenessSeconds ?? undefined)
      const quota = changes.quota === undefined ? before : (changes.quota ?? undefined)
      const project = changes.project === undefined ? owner : (changes.project ?? undefined)
      const record: RepositoryRecord = {
        ...rest,
        ...(project === undefined ? {} : { project: this.#project(project) }),
        name: changes.name ?? rest.name,
        description: changes.description ?? rest.description,
        public: changes.public ?? rest.public,
        redeploy: changes.redeploy ?? rest.redeploy,
        ...(changes.immutableTags === undefined ? {} : { immutableTags: changes.immutableTags }),
        ...(quota === undefined ? {} : { quota }),
        ...(upstream === undefined ? {} : { upstream }),
        ...(changes.mirrors === undefined ? {} : { mirrors: changes.mirrors.map(checkUpstream) }),
        ...(changes.metadataTtlSeconds === undefined ? {} : { metadataTtlSeconds: changes.metadataTtlSeconds }),
        ...(staleness === undefined ? {} : { maxStalenessSeconds: staleness }),
        ...this.#settings(rest, changes.settings, settings),
        ...(rules === undefined ? {} : { rules }),
      }
      this.#checkRules(record)
      // Credentials are for the host that they were given for.
      const moved = originOf(record.upstream) !== originOf(rest.upstream)
      if (changes.credential !== undefined || moved) await this.#keep(record, changes.credential)
      await this.#commit([{ kind: 'repository', key, record }], by)
      return record
    })
  }

  /** Refused while a virtual repository has it as a member, or a node has a lease on names of it. Grants that name exactly this repository go with it. */
  remove(key: string, by: string): Promise<void> {
    return this.#turn.run(async () => {
      const { scope } = this.#existing(key)
      const user = this.#options.metadata.repositories().find((record) => record.members.includes(key))
      if (user)
        throw new RegistryError('conflict', `${key} is a member of ${user.key}; remove it there first`, {
          code: 'repository_in_use',
        })
      const lease = this.#options.metadata.accessAll('lease').find((one) => one.scope === scope && !one.closed)
      if (lease)
        throw new RegistryError('conflict', `A node publishes names of ${key}; end lease ${lease.id} first`, {
          code: 'repository_leased',
        })
      const grants = this.#options.metadata.accessAll('grant').filter((grant: GrantRecord) => grant.repository === key)
      const drops = grants.map((grant): Step => ({ kind: 'access', subject: 'grant', id: grant.id, record: null }))
      await this.#commit([{ kind: 'repository', key, record: null }, ...drops], by)
      await this.#options.credentials?.set(scope, undefined)
      await this.#options.documents?.forget(scope)
    })
  }

  /** Adds a member, or moves it. Lower priorities come first; equal ones stay in the order in which they were added. */
  addMember(key: string, member: string, priority: number | undefined, by: string): Promise<RepositoryRecord> {
    return this.#turn.run(async () => {
      const record = this.#existing(key)
      this.#checkMember(record, member)
      const others = membersOf(record).filter((one) => one.member !== member)
      if (others.length >= MAX_MEMBERS)
        throw new RegistryError('invalid', `A virtual repository has at most ${MAX_MEMBERS} members`)
      const last = Math.max(0, ...others.map((one) => one.priority))
      const changed = withMembers(record, [...others, { member, priority: priority ?? last + 1 }])
      await this.#commit([{ kind: 'repository', key, record: changed }], by)
      return changed
    })
  }

  removeMember(key: string, member: string, by: string): Promise<void> {
    return this.#turn.run(async () => {
      const record = this.#existing(key)
      if (!record.members.includes(member)) throw new RegistryError('missing', `${member} is no member of ${key}`)
      const changed = withMembers(
        record,
        membersOf(record).filter((one) => one.member !== member),
      )
      await this.#commit([{ kind: 'repository', key, record: changed }], by)
    })
  }

  #checkDraft({ key, format, type, upstream, members, ...more }: RepositoryDraft): void {
    const { metadata, formats, types } = this.#options
    if (!KEY.test(key))
      throw new RegistryError(
        'invalid',
        'A key is 1 to 63 of a-z, 0-9, ".", "_" and "-", and begins with a letter or digit',
        { code: 'key_invalid' },
      )
    if (RESERVED.includes(key) || formats.includes(key))
      throw new RegistryError('invalid', `The key ${key} is reserved`, { code: 'key_reserved' })
    if (!formats.includes(format))
      throw new RegistryError('invalid', `There is no format "${format}"; there are ${formats.join(', ')}`, {
        code: 'format_unknown',
      })
    if (!types.includes(type))
      throw new RegistryError('invalid', `Repositories of type ${type} are not offered here`, { code: 'type_unknown' })
    if (type === 'remote' && this.#options.remoteFormats?.includes(format) === false)
      throw new RegistryError('invalid', `${format} cannot be read from an upstream here`, { code: 'type_unknown' })
    if (metadata.repository(key))
      throw new RegistryError('conflict', `There is a repository ${key} already`, { code: 'repository_exists' })
    if (type === 'remote' && upstream === undefined)
      throw new RegistryError('invalid', 'A remote repository needs an upstream_url')
    if (
      type !== 'remote' &&
      [upstream, more.mirrors, more.metadataTtlSeconds, more.credential].some((one) => one !== undefined)
    )
      throw notRemote()
    if (type !== 'local' && more.immutableTags !== undefined) throw notLocal()
    if (type === 'virtual' && more.maxStalenessSeconds !== undefined) throw notOfVirtual()
    if (type !== 'virtual' && members && members.length > 0)
      throw new RegistryError('invalid', 'Only a virtual repository has members')
    if ((members?.length ?? 0) > MAX_MEMBERS)
      throw new RegistryError('invalid', `A virtual repository has at most ${MAX_MEMBERS} members`)
    if (new Set(members).size !== (members?.length ?? 0)) throw new RegistryError('invalid', 'A member is named twice')
  }

  #settings(
    { format, type }: Pick<RepositoryRecord, 'format' | 'type'>,
    changes: SettingChanges = {},
    before: Settings = {},
  ): Pick<RepositoryRecord, 'settings'> {
    if (type !== 'local' && Object.keys(changes).length > 0)
      throw new RegistryError('invalid', 'Only a local repository has settings')
    const settings = changedSettings(this.#options.settings?.(format) ?? {}, before, changes)
    return Object.keys(settings).length === 0 ? {} : { settings }
  }

  /** Throws `invalid` for rules that cannot be understood, or that would never have an effect. */
  #checkRules({ key, format, type, rules }: RepositoryRecord): void {
    if (!rules) return
    if (type === 'local' && rules.cooldownDays > 0)
      throw new RegistryError('invalid', 'A cooldown is for what upstreams publish: set it on a remote or virtual one')
    if (type === 'local' && rules.reservedNames.length > 0)
      throw new RegistryError(
        'invalid',
        'A local repository looks nothing up: reserve names on a remote or virtual one',
      )
    if (type !== 'virtual' && rules.mergedNames.length > 0)
      throw new RegistryError('invalid', 'Only a virtual repository has members whose names it can merge')
    new Screen(key, rules, this.#options.grammar?.(format))
  }

  #checkMember(record: RepositoryRecord, member: string): void {
    if (record.type !== 'virtual') throw new RegistryError('invalid', 'Only a virtual repository has members')
    const found = this.#options.metadata.repository(member)
    if (!found) throw new RegistryError('invalid', `There is no repository ${member}`, { code: 'member_missing' })
    if (found.format !== record.format)
      throw new RegistryError('invalid', `${member} holds ${found.format}, ${record.key} is for ${record.format}`, {
        code: 'member_format',
      })
    if (this.#reaches(found, record.key, new Set()))
      throw new RegistryError('invalid', `${member} would make ${record.key} a member of itself`, {
        code: 'member_cycle',
      })
  }

  #reaches(from: RepositoryRecord, key: string, seen: Set<string>): boolean {
    if (from.key === key) return true
    if (seen.has(from.key)) return false
    seen.add(from.key)
    return from.members.some((member) => {
      const found = this.#options.metadata.repository(member)
      return found !== undefined && this.#reaches(found, key, seen)
    })
  }

  #project(key: string): string {
    if (this.#options.metadata.access('project', key)) return key
    throw new RegistryError('invalid', `There is no project ${key}`, { code: 'project_missing' })
  }

  #existing(key: string): RepositoryRecord {
    const record = this.#options.metadata.repository(key)
    if (!record) throw new RegistryError('missing', `There is no repository ${key}`)
    return record
  }

  async #keep({ scope, upstream }: RepositoryRecord, credential: UpstreamCredential | null | undefined): Promise<void> {
    const origin = originOf(upstream)
    await this.#options.credentials?.set(scope, credential && origin !== undefined ? { origin, credential } : undefined)
  }

  async #commit(steps: Step[], by: string): Promise<void> {
    await this.#options.ledger.commit({ scope: FLEET, steps, by })
  }
}

interface Member {
  member: string
  priority: number
}

function membersOf(record: RepositoryRecord): Member[] {
  return record.members.map((member, i) => ({ member, priority: record.priorities?.[i] ?? i + 1 }))
}

function withMembers(record: RepositoryRecord, members: Member[]): RepositoryRecord {
  if (record.type !== 'virtual') return record
  const sorted = members.toSorted((a, b) => a.priority - b.priority)
  return { ...record, members: sorted.map((one) => one.member), priorities: sorted.map((one) => one.priority) }
}

/** Credentials have a place of their own: in an address they would be replicated and logged. */
function checkUpstream(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol))
    throw new RegistryError('invalid', 'upstream_url must be an http or https address')
  if (url.username !== '' || url.password !== '')
    throw new RegistryError('invalid', 'upstream_url must not hold credentials')
  if (url.hash !== '') throw new RegistryError('invalid', 'upstream_url must not have a fragment')
  return url.href
}

function originOf(upstream: string | undefined): string | undefined {
  return upstream !== undefined && URL.canParse(upstream) ? new URL(upstream).origin : undefined
}

const OF_REMOTE = ['upstream', 'mirrors', 'metadataTtlSeconds', 'credential'] as const

function notLocal(): RegistryError {
  return new RegistryError('invalid', 'Only a local repository has immutable_tags: the tags of others are theirs')
}

function notOfVirtual(): RegistryError {
  return new RegistryError('invalid', 'A virtual repository has no max_staleness_seconds: each member has its own')
}

function notRemote(): RegistryError {
  return new RegistryError('invalid', 'Only a remote repository has an upstream_url and what belongs to it')
}
