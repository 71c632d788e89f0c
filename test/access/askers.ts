/** Everybody who may come, with what they bring and what the model is told of them. */
import { newToken } from '../../protocol/access/token.js'
import type { Action, TokenRecord } from '../../protocol/records.js'
import { access, grant, type MemoryFleet, user } from '../support/memory-fleet.js'
import type { Asker } from './model.js'

export interface Visitor extends Asker {
  authorization: string | undefined
}

type Rights = Asker['rights']
const ALL: Action[] = ['read', 'write', 'delete', 'admin']

/** Grants are on `mine`, on `theirs`, and on `all`, which both are members of. */
const USERS: Record<string, Rights> = {
  nobody: {},
  reader: { mine: ['read'], all: ['read'] },
  writer: { mine: ['read', 'write'], all: ['read'] },
  deleter: { mine: ['read', 'delete'] },
  dropper: { mine: ['write'] },
  maintainer: { mine: ALL, all: ALL },
  shopper: { all: ['read'] },
  other: { theirs: ['read', 'write', 'delete'], all: ['read'] },
}

const TOKENS: { name: string; of: string; more: Partial<TokenRecord>; rights: Rights }[] = [
  { name: 'robot that reads', of: 'maintainer', more: { scopes: ['read:mine'] }, rights: { mine: ['read'] } },
  { name: 'robot for elsewhere', of: 'maintainer', more: { scopes: ['admin:theirs'] }, rights: {} },
  { name: "administrator's robot", of: 'root', more: { scopes: ['read:mine'] }, rights: { mine: ['read'] } },
  {
    name: 'CI job',
    of: 'writer',
    more: { scopes: ['write:mine'], use: 'exchanged', expiresAt: '2027-01-01T00:00:00.000Z' },
    rights: { mine: ['write'] },
  },
]

export async function visitors(fleet: MemoryFleet): Promise<Visitor[]> {
  const names = Object.keys(USERS)
  await fleet.configure([
    ...names.map((name) => access(user(name))),
    ...Object.entries(USERS).flatMap(([name, rights]) =>
      Object.entries(rights).map(([key, actions]) => grant(name, key, { actions: [...actions] })),
    ),
    access({ ...user('root'), admin: true }),
    access(user('suspended')),
    grant('suspended', '*'),
    // Below a folder that nothing lies in: the repository shows, and nothing in it.
    access(user('guest of a folder')),
    grant('guest of a folder', 'mine', { path: 'no/such/folder/', actions: ['read'] }),
  ])
  const token = (of: string, more: Partial<TokenRecord> = {}) => tokenOf(fleet, of, more)
  const invalid = { is: 'invalid', rights: {} } as const
  const revoked = await token('maintainer')
  await fleet.configure([{ kind: 'access', subject: 'token', id: revoked.id, record: null }])
  const all: Visitor[] = [
    { name: 'anonymous', is: 'anonymous', rights: {}, authorization: undefined },
    { name: 'revoked token', ...invalid, authorization: revoked.authorization },
    {
      name: 'expired token',
      ...invalid,
      authorization: (await token('maintainer', { expiresAt: '2025-01-01T00:00:00.000Z' })).authorization,
    },
    { name: 'suspended user', ...invalid, authorization: (await token('suspended')).authorization },
    { name: "node's certificate", ...invalid, authorization: 'Bearer eyJhbGciOiJFZERTQSJ9.e30.AA' },
    { name: 'administrator', is: 'administrator', rights: {}, authorization: (await token('root')).authorization },
    {
      name: 'guest of a folder',
      is: 'user',
      rights: { mine: [FOLDER] },
      authorization: (await token('guest of a folder')).authorization,
    },
  ]
  for (const name of names)
    all.push({ name, is: 'user', rights: USERS[name] ?? {}, authorization: (await token(name)).authorization })
  for (const { name, of, more, rights } of TOKENS)
    all.push({ name, is: 'user', rights, authorization: (await token(of, more)).authorization })
  await fleet.configure([access({ ...user('suspended'), disabled: true })])
  return all
}

/** A right that no route asks for: what a folder's guest has in the whole of the repository. */
const FOLDER = 'folder' as Action

async function tokenOf(fleet: MemoryFleet, of: string, more: Partial<TokenRecord>) {
  const { value, id, hash } = newToken()
  const record: TokenRecord = {
    ...{ id, hash, name: 'matrix', user: of, scopes: ['*'], createdAt: fleet.now(), use: 'api' },
    ...more,
  }
  await fleet.configure([{ kind: 'access', subject: 'token', id, record }])
  return { id, authorization: `Bearer ${value}` }
}
