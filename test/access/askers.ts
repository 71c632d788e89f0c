/** Everybody who may come, with what they bring; and what is said of them, once for the fleet to keep and for the model to read. */
import { newToken } from '../../protocol/access/token.js'
import type { Action, GrantRecord, Step, Subject, TokenRecord } from '../../protocol/records.js'
import { access, type MemoryFleet, PASSWORD, user } from '../support/memory-fleet.js'
import type { Asker, Sentence } from './model.js'

export interface Visitor extends Asker {
  authorization: string | undefined
}

export const PROJECT = 'garden'
export const NODE = 'a node'
const ALL: Action[] = ['read', 'write', 'delete']

/** `flower`: what paths of a planted thing begin with; `absent`: of one that is not there. `mine` belongs to the project. */
export function sentences({ flower, absent }: { flower: string; absent: string }): Sentence[] {
  return [
    { who: 'anonymous', does: ['read'], where: 'lent' },
    { who: 'reader', does: ['read'], where: 'mine' },
    { who: 'reader', does: ['read'], where: 'aged' },
    { who: 'reader', does: ['read'], where: 'bunch' },
    { who: '@writers', does: ['read', 'write'], where: 'mine' },
    { who: '@writers', does: ['read'], where: 'bunch' },
    { who: 'deleter', does: ['read', 'delete'], where: 'mine' },
    { who: 'dropper', does: ['write'], where: 'mine' },
    { who: 'auditor', does: ['audit'], where: 'mine' },
    { who: 'inspector', does: ['audit'], where: '*' },
    { who: NODE, does: ['read'], where: 'mine' },
    { who: 'head', does: ['admin'], where: 'mine' },
    { who: 'owner', does: ['admin'], where: 'mine' },
    { who: 'owner', does: ['admin'], where: 'aged' },
    { who: 'owner', not: true, does: ['admin'], where: 'mine' },
    { who: 'member', does: ALL, where: 'mine' },
    { who: 'gardener', does: ['read', 'write'], where: 'mine' },
    { who: 'shopper', does: ['read'], where: 'bunch' },
    { who: 'other', does: ALL, where: 'theirs' },
    { who: 'other', does: ALL, where: 'bunch' },
    { who: 'guest', does: ['read'], where: 'mine', below: flower },
    // The repository shows, and nothing in it.
    { who: 'guest of a folder', does: ['read'], where: 'mine', below: 'no/such/folder/' },
    { who: 'planter', does: ['write'], where: 'mine', below: absent },
    { who: 'warned', does: ALL, where: 'mine' },
    { who: '@warned', not: true, does: ALL, where: 'mine', below: flower },
    { who: 'banned', does: ['read'], where: 'mine' },
    { who: '@banned', not: true, does: ['read'], where: 'mine' },
    { who: '@banned', not: true, does: ['read'], where: 'open' },
    { who: 'root', not: true, does: ['read'], where: 'mine' },
    { who: 'anonymous', not: true, does: ['write'], where: 'mine' },
    { who: 'token of less', not: true, does: ['write', 'delete'], where: 'mine' },
    { who: "administrator's forbidden token", not: true, does: ['read'], where: 'mine' },
    // Of what a token is allowed nothing counts.
    { who: "nobody's token", does: ['read'], where: 'mine' },
  ]
}

/** By name, with their groups. */
const USERS: Record<string, string[]> = {
  nobody: [],
  reader: [],
  writer: ['writers'],
  deleter: [],
  dropper: [],
  auditor: [],
  inspector: [],
  head: [],
  owner: [],
  member: [],
  gardener: [],
  shopper: [],
  other: [],
  guest: [],
  'guest of a folder': [],
  planter: [],
  warned: ['warned'],
  banned: ['banned'],
}

interface Issued {
  name: string
  of: string
  scopes: string[]
  means: Asker['scopes']
  more?: Partial<TokenRecord>
}

const TOKENS: Issued[] = [
  { name: 'token that reads', of: 'member', scopes: ['read:mine'], means: [{ does: ['read'], where: 'mine' }] },
  {
    name: 'token for elsewhere',
    of: 'member',
    scopes: ['admin:theirs'],
    means: [{ does: ['admin'], where: 'theirs' }],
  },
  { name: 'token of less', of: 'member', scopes: ['*'], means: undefined },
  { name: "head's narrow token", of: 'head', scopes: ['read:mine'], means: [{ does: ['read'], where: 'mine' }] },
  { name: "nobody's token", of: 'nobody', scopes: ['*'], means: undefined },
  {
    name: 'CI job',
    of: 'writer',
    scopes: ['write:mine'],
    means: [{ does: ['write'], where: 'mine' }],
    more: { use: 'exchanged', expiresAt: '2027-01-01T00:00:00.000Z' },
  },
  {
    name: "administrator's narrow token",
    of: 'root',
    scopes: ['read:mine'],
    means: [{ does: ['read'], where: 'mine' }],
  },
  {
    name: "administrator's forbidden token",
    of: 'root',
    scopes: ['*'],
    means: [{ does: ['admin'], where: '*' }],
  },
]

export async function visitors(fleet: MemoryFleet, said: readonly Sentence[]): Promise<Visitor[]> {
  const names = Object.keys(USERS)
  await fleet.configure([
    ...Object.entries(USERS).map(([name, groups]) =>
      access({ ...user(name), groups, ...(name === 'gardener' ? { project: PROJECT } : {}) }),
    ),
    access({ ...user('root'), admin: true }),
    access(user('suspended')),
    project(),
  ])
  const revoked = await issue(fleet, 'member')
  await fleet.configure([{ kind: 'access', subject: 'token', id: revoked.id, record: null }])
  const expired = await issue(fleet, 'member', { expiresAt: '2025-01-01T00:00:00.000Z' })
  const suspended = await issue(fleet, 'suspended')
  await fleet.configure([access({ ...user('suspended'), disabled: true })])
  const invalid = (name: string, authorization: string): Visitor => ({
    name,
    is: 'invalid',
    as: ['anonymous'],
    authorization,
  })
  const all: Visitor[] = [
    { name: 'anonymous', is: 'anonymous', as: ['anonymous'], authorization: undefined },
    invalid('revoked token', revoked.authorization),
    invalid('expired token', expired.authorization),
    invalid('suspended user', suspended.authorization),
    invalid('wrong password', basic('reader', 'not the password')),
    // What nodes are known by to each other is nothing to clients' ports.
    invalid("node's certificate", 'Bearer eyJhbGciOiJFZERTQSJ9.e30.AA'),
    { name: 'administrator', is: 'administrator', as: [], authorization: basic('root', PASSWORD) },
    { name: 'reader with a password', ...known('reader'), authorization: basic('reader', PASSWORD) },
  ]
  for (const name of names) all.push({ name, ...known(name), authorization: (await issue(fleet, name)).authorization })
  const ids = new Map<string, string>()
  for (const { name, of, scopes, means, more } of TOKENS) {
    const { id, authorization } = await issue(fleet, of, { scopes, ...more })
    ids.set(name, id)
    const who: Asker = of === 'root' ? { name, is: 'administrator', as: ['anonymous'] } : { name, ...known(of) }
    // Allowing a token something is no sentence about anybody.
    const as = [...who.as, ...(name.startsWith('nobody') ? [] : [name])]
    all.push({ ...who, name, as, scopes: means, authorization })
  }
  await fleet.configure(said.flatMap((sentence, index) => grantOf(sentence, index, ids)))
  return all
}

function known(name: string): Omit<Visitor, 'name' | 'authorization'> {
  const groups = (USERS[name] ?? []).map((group) => `@${group}`)
  return { is: 'user', as: ['anonymous', name, ...groups] }
}

function project(): Step {
  const members = [
    { kind: 'user' as const, name: 'member', role: 'maintainer' },
    { kind: 'user' as const, name: 'gardener', role: 'developer' },
    { kind: 'user' as const, name: 'head', role: 'admin' },
  ]
  const record = { key: PROJECT, name: PROJECT, description: '', members, createdAt: '2026-01-01T00:00:00.000Z' }
  return { kind: 'access', subject: 'project', id: PROJECT, record }
}

/** Of a node its record says it, and of the project's members their roles. */
function grantOf({ who, not, does, where, below = '' }: Sentence, index: number, tokens: Map<string, string>): Step[] {
  if ([NODE, 'member', 'gardener', 'head'].includes(who)) return []
  const token = tokens.get(who)
  const subject: Subject =
    token !== undefined
      ? { kind: 'token', name: token }
      : who.startsWith('@')
        ? { kind: 'group', name: who.slice(1) }
        : { kind: 'user', name: who }
  const id = `sentence-${index}`
  const said: Partial<GrantRecord> = not ? { effect: 'deny', actions: [], denied: [...does] } : { actions: [...does] }
  const record: GrantRecord = { id, subject, repository: where, path: below, actions: [], ...said }
  return [{ kind: 'access', subject: 'grant', id, record }]
}

async function issue(fleet: MemoryFleet, of: string, more: Partial<TokenRecord> = {}) {
  const { value, id, hash } = newToken()
  const record: TokenRecord = {
    ...{ id, hash, name: 'matrix', user: of, scopes: ['*'], createdAt: fleet.now(), use: 'api' },
    ...more,
  }
  await fleet.configure([{ kind: 'access', subject: 'token', id, record }])
  return { id, authorization: `Bearer ${value}` }
}

function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}
