/** One's own roles. Whoever has one follows it when it changes; one that is in use cannot go. */
import { BUILT_IN_ROLES } from '../../protocol/access/roles.js'
import { isEverybody, isForEverybody } from '../../protocol/access/rule.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Action, RoleRecord } from '../../protocol/records.js'
import type { Directory } from './directory.js'

export interface RoleDraft {
  name: string
  description: string
  actions: Action[]
}

export class Roles {
  readonly #directory: Directory
  readonly #nowMs: () => number

  constructor(directory: Directory, nowMs: () => number) {
    this.#directory = directory
    this.#nowMs = nowMs
  }

  /** Those that are built in, then one's own by name. */
  list(): (RoleDraft & { builtIn: boolean })[] {
    const builtIn = [...BUILT_IN_ROLES].map(([name, role]) => ({
      name,
      ...role,
      actions: [...role.actions],
      builtIn: true,
    }))
    const own = this.#directory.all('role').map((role) => ({ ...role, builtIn: false }))
    return [...builtIn, ...own.sort((a, b) => (a.name < b.name ? -1 : 1))]
  }

  create({ name, description, actions }: RoleDraft, by: string): Promise<RoleRecord> {
    return this.#directory.turn.run(async () => {
      if (BUILT_IN_ROLES.has(name) || this.#directory.role(name))
        throw new RegistryError('conflict', `There is a role ${name} already`)
      return this.#write({ name, description, actions, createdAt: new Date(this.#nowMs()).toISOString() }, by)
    })
  }

  /** Throws `conflict` for what everybody must not have while everybody has the role. */
  update(
    name: string,
    changes: { description?: string | undefined; actions?: Action[] | undefined },
    by: string,
  ): Promise<RoleRecord> {
    return this.#directory.turn.run(async () => {
      const before = this.#existing(name)
      const { description = before.description, actions = before.actions } = changes
      if (!isForEverybody(actions) && this.#isOfEverybody(name))
        throw new RegistryError('conflict', `Everybody has ${name}, and can be let read, write and delete, no more`, {
          code: 'role_of_everybody',
        })
      return this.#write({ ...before, description, actions }, by)
    })
  }

  /** Throws `conflict` while a grant or a project's member has it. */
  remove(name: string, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      this.#existing(name)
      const given = this.#directory.all('grant').some(({ role }) => role === name)
      const held = this.#directory.all('project').find(({ members }) => members.some(({ role }) => role === name))
      if (given || held)
        throw new RegistryError('conflict', `${name} is in use, by ${held ? `project ${held.key}` : 'grants'}`, {
          code: 'role_in_use',
        })
      await this.#directory.commit([{ kind: 'access', subject: 'role', id: name, record: null }], by)
    })
  }

  async #write(record: RoleRecord, by: string): Promise<RoleRecord> {
    await this.#directory.commit([{ kind: 'access', subject: 'role', id: record.name, record }], by)
    return record
  }

  #isOfEverybody(name: string): boolean {
    return this.#directory
      .all('grant')
      .some(({ role, effect, subject }) => role === name && effect !== 'deny' && isEverybody(subject))
  }

  /** Throws `missing`, and `invalid` for one that is built in. */
  #existing(name: string): RoleRecord {
    if (BUILT_IN_ROLES.has(name)) throw new RegistryError('invalid', `The role ${name} is built in and stays as it is`)
    const role = this.#directory.role(name)
    if (!role) throw new RegistryError('missing', `There is no role ${name}`)
    return role
  }
}
