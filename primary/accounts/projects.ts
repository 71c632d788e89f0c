/**
 * Projects: their members, and the service accounts that they own. A service account is a user without a password, so that only tokens
 * let it in, and goes with its project.
 */
import { BUILT_IN_ROLES } from '../../protocol/access/roles.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Membership, ProjectRecord, UserRecord } from '../../protocol/records.js'
import type { Directory } from './directory.js'
import { dropUsers } from './rights.js'
import type { Users } from './users.js'

export interface ProjectChanges {
  name?: string | undefined
  description?: string | undefined
  /** null removes the limit. */
  quota?: number | null | undefined
}

const KEY = /^[a-z0-9][a-z0-9._-]{0,62}$/
const MAX_MEMBERS = 1000

export class Projects {
  readonly #directory: Directory
  readonly #users: Pick<Users, 'create'>
  readonly #nowMs: () => number

  constructor(directory: Directory, users: Pick<Users, 'create'>, nowMs: () => number) {
    this.#directory = directory
    this.#users = users
    this.#nowMs = nowMs
  }

  create({ key, ...changes }: ProjectChanges & { key: string }, by: string): Promise<ProjectRecord> {
    return this.#directory.turn.run(async () => {
      if (!KEY.test(key))
        throw new RegistryError(
          'invalid',
          'A key is 1 to 63 of a-z, 0-9, ".", "_" and "-", and begins with a letter or digit',
        )
      if (this.#directory.project(key)) throw new RegistryError('conflict', `There is a project ${key} already`)
      const createdAt = new Date(this.#nowMs()).toISOString()
      const blank: ProjectRecord = { key, name: key, description: '', members: [], createdAt }
      return this.#write(changed(blank, changes), by)
    })
  }

  update(key: string, changes: ProjectChanges, by: string): Promise<ProjectRecord> {
    return this.#directory.turn.run(async () => this.#write(changed(this.#existing(key), changes), by))
  }

  /** With its service accounts. Throws `conflict` while it has repositories. */
  remove(key: string, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      this.#existing(key)
      const repository = this.#directory.repositories().find(({ project }) => project === key)
      if (repository)
        throw new RegistryError('conflict', `${repository.key} belongs to ${key}; take it out first`, {
          code: 'project_in_use',
        })
      const steps = dropUsers(
        this.#directory,
        this.serviceAccounts(key).map(({ name }) => name),
      )
      // Of what is left of it the project's own record is the last, whatever the steps before made of it.
      await this.#directory.commit([...steps, { kind: 'access', subject: 'project', id: key, record: null }], by)
    })
  }

  /** `role: undefined` takes the member out. Throws `missing` for users and groups that are not there. */
  setMember(
    key: string,
    { kind, name }: Omit<Membership, 'role'>,
    role: string | undefined,
    by: string,
  ): Promise<ProjectRecord> {
    return this.#directory.turn.run(async () => {
      const project = this.#existing(key)
      const others = project.members.filter((member) => !(member.kind === kind && member.name === name))
      if (role === undefined) {
        if (others.length === project.members.length)
          throw new RegistryError('missing', `${kind} ${name} is no member of ${key}`)
        return this.#write({ ...project, members: others }, by)
      }
      // A place for nobody would wait for whoever takes the name.
      if (kind === 'user' && !this.#directory.user(name)) throw new RegistryError('missing', `There is no user ${name}`)
      if (!BUILT_IN_ROLES.has(role) && !this.#directory.role(role))
        throw new RegistryError('invalid', `There is no role ${role}`, { code: 'role_missing' })
      if (others.length >= MAX_MEMBERS)
        throw new RegistryError('invalid', `A project has at most ${MAX_MEMBERS} members; use groups`)
      return this.#write({ ...project, members: [...others, { kind, name, role }] }, by)
    })
  }

  /** By name. */
  serviceAccounts(key: string): UserRecord[] {
    return this.#directory
      .all('user')
      .filter(({ project }) => project === key)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  createServiceAccount({ key }: ProjectRecord, name: string, by: string): Promise<UserRecord> {
    return this.#users.create({ name, project: key }, by)
  }

  /** Throws `missing` for one that is not the project's own. */
  serviceAccount({ key }: ProjectRecord, name: string): UserRecord {
    const user = this.#directory.user(name)
    if (user?.project !== key) throw new RegistryError('missing', `${key} has no service account ${name}`)
    return user
  }

  removeServiceAccount(project: ProjectRecord, name: string, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      this.serviceAccount(project, name)
      await this.#directory.commit(dropUsers(this.#directory, [name]), by)
    })
  }

  async #write(record: ProjectRecord, by: string): Promise<ProjectRecord> {
    await this.#directory.commit([{ kind: 'access', subject: 'project', id: record.key, record }], by)
    return record
  }

  #existing(key: string): ProjectRecord {
    const project = this.#directory.project(key)
    if (!project) throw new RegistryError('missing', `There is no project ${key}`)
    return project
  }
}

function changed({ quota: before, ...rest }: ProjectRecord, changes: ProjectChanges): ProjectRecord {
  const { name = rest.name, description = rest.description } = changes
  const quota = changes.quota === undefined ? before : (changes.quota ?? undefined)
  return { ...rest, name, description, ...(quota === undefined ? {} : { quota }) }
}
