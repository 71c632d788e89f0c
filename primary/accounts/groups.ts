/** Groups. Who is in one the users' records say, and nothing else; a group's own record only describes it. */
import { RegistryError } from '../../protocol/errors.js'
import type { GroupRecord, Step, UserRecord } from '../../protocol/records.js'
import type { Directory } from './directory.js'
import { takenFrom } from './rights.js'

export interface Group {
  name: string
  description: string
  /** ISO 8601; undefined: nothing but its members tell of it, as of those that an identity provider names. */
  createdAt: string | undefined
  members: string[]
}

export class Groups {
  readonly #directory: Directory
  readonly #nowMs: () => number

  constructor(directory: Directory, nowMs: () => number) {
    this.#directory = directory
    this.#nowMs = nowMs
  }

  /** By name. */
  list(): Group[] {
    const members = new Map(this.#directory.all('group').map(({ name }): [string, string[]] => [name, []]))
    for (const user of this.#directory.all('user'))
      for (const group of user.groups) {
        const known = members.get(group)
        if (known) known.push(user.name)
        else members.set(group, [user.name])
      }
    return [...members].map(([name, users]) => this.#group(name, users)).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Throws `missing`. */
  get(name: string): Group {
    const members = this.#membersOf(name).map((user) => user.name)
    if (members.length === 0 && !this.#directory.group(name)) throw noGroup(name)
    return this.#group(name, members)
  }

  create(name: string, description: string, by: string): Promise<Group> {
    return this.#directory.turn.run(async () => {
      if (this.#directory.group(name)) throw new RegistryError('conflict', `There is a group ${name} already`)
      return this.#write({ name, description, createdAt: this.#now() }, by)
    })
  }

  describe(name: string, description: string, by: string): Promise<Group> {
    return this.#directory.turn.run(async () => {
      const { createdAt = this.#now() } = this.get(name)
      return this.#write({ name, description, createdAt }, by)
    })
  }

  /** Members leave it, and what was given to it is taken back. */
  remove(name: string, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      this.get(name)
      const steps: Step[] = [
        ...this.#membersOf(name).map(withoutGroup(name)),
        ...takenFrom(this.#directory, [{ kind: 'group', name }]),
        { kind: 'access', subject: 'group', id: name, record: null },
      ]
      await this.#directory.commit(steps, by)
    })
  }

  /** Adding who is in it, or taking out who is not, changes nothing. Throws `missing` for users that are not there. */
  setMember(name: string, user: string, within: boolean, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      this.get(name)
      const record = this.#directory.user(user)
      if (!record) throw new RegistryError('missing', `There is no user ${user}`)
      if (record.groups.includes(name) === within) return
      await this.#directory.commit([within ? withGroup(record, name) : withoutGroup(name)(record)], by)
    })
  }

  async #write(record: GroupRecord, by: string): Promise<Group> {
    await this.#directory.commit([{ kind: 'access', subject: 'group', id: record.name, record }], by)
    return this.get(record.name)
  }

  #group(name: string, members: string[]): Group {
    const { description = '', createdAt } = this.#directory.group(name) ?? {}
    return { name, description, createdAt, members: members.sort() }
  }

  #membersOf(name: string): UserRecord[] {
    return this.#directory.all('user').filter((user) => user.groups.includes(name))
  }

  #now(): string {
    return new Date(this.#nowMs()).toISOString()
  }
}

function withGroup(user: UserRecord, group: string): Step {
  return { kind: 'access', subject: 'user', id: user.name, record: { ...user, groups: [...user.groups, group] } }
}

function withoutGroup(group: string): (user: UserRecord) => Step {
  return (user) => {
    const record = { ...user, groups: user.groups.filter((one) => one !== group) }
    return { kind: 'access', subject: 'user', id: user.name, record }
  }
}

function noGroup(name: string): RegistryError {
  return new RegistryError('missing', `There is no group ${name}`)
}
