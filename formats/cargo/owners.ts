/**
 * `cargo owner`: who answers for a crate. The list is kept and shown; who may publish is decided by the repository's grants,
 * which an administrator changes, and every reply that changes the list says so.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import { readJson } from '../text/body.js'
import { isObject } from '../text/json.js'
import { change } from './change.js'
import { refused, textsOf } from './fields.js'
import { knownCrate } from './known.js'
import { idOf } from './name.js'
import { readNotes, writeNotes } from './notes.js'

type OfCrate = Call<{ crate: string }>

const BODY_LIMIT = 64 * 1024
const MAX_OWNERS = 200
const LOGIN = /^[^\p{C}\s]{1,200}$/u
const NO_STORE = { 'cache-control': 'no-store' }

export async function readOwners({ repository, params }: OfCrate): Promise<Reply> {
  const owners = readNotes(await knownCrate(repository, params.crate))?.owners ?? []
  // Cargo wants a number for each, and shows it to nobody.
  return json({ users: owners.map((login, i) => ({ id: i + 1, login, name: null })) }, 200, NO_STORE)
}

export async function addOwners(call: OfCrate): Promise<Reply> {
  const added = await edit(call, (owners, named) => [...new Set([...owners, ...named])])
  const msg = `${added.join(', ')} now listed as owner of ${call.params.crate}; who may publish is decided by the grants of the repository ${call.repository.key}`
  return json({ ok: true, msg }, 200, NO_STORE)
}

export async function removeOwners(call: OfCrate): Promise<Reply> {
  const { crate } = call.params
  const removed = await edit(call, (owners, named) => {
    const stranger = named.find((login) => !owners.includes(login))
    if (stranger !== undefined) throw new RegistryError('missing', `${stranger} is not an owner of ${crate}`)
    const left = owners.filter((login) => !named.includes(login))
    if (left.length === 0) throw new RegistryError('invalid', `${crate} must keep an owner`)
    return left
  })
  return json({ ok: true, msg: `${removed.join(', ')} no longer listed as owner of ${crate}` }, 200, NO_STORE)
}

async function edit(call: OfCrate, after: (owners: string[], named: string[]) => string[]): Promise<string[]> {
  const { crate } = call.params
  call.target()
  const named = parseLogins(await readJson(call.request, BODY_LIMIT))
  await change(call, idOf(crate), async () => {
    const notes = readNotes(await knownCrate(call.repository, crate))
    if (!notes) return undefined
    const owners = after(notes.owners, named)
    if (owners.length > MAX_OWNERS) throw refused(`A crate has at most ${MAX_OWNERS} owners`)
    if (owners.join('\n') === notes.owners.join('\n')) return undefined
    return [{ kind: 'amend', package: idOf(crate), version: null, meta: writeNotes({ ...notes, owners }) }]
  })
  return named
}

function parseLogins(sent: unknown): string[] {
  if (!isObject(sent)) throw refused('The body is an object with "users"')
  const logins = textsOf(sent, 'users', MAX_OWNERS)
  if (logins.length === 0 || !logins.every((login) => LOGIN.test(login)))
    throw refused('"users" is a list of user names')
  return logins
}
