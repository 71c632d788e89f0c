/** `npm access`: what a package's visibility and collaborators are. They follow from the repository, and are changed there. */

import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import { readJson } from '../text/body.js'
import { isObject } from '../text/json.js'
import { knownPackage } from './known.js'
import { readNotes } from './notes.js'

type OfPackage = Call<{ package: string }>

const BODY_LIMIT = 64 * 1024
const NO_STORE = { 'cache-control': 'no-store' }

export async function readVisibility({ repository, params }: OfPackage): Promise<Reply> {
  await knownPackage(repository, params.package)
  return json({ public: repository.record.public }, 200, NO_STORE)
}

export async function readCollaborators({ repository, params }: OfPackage): Promise<Reply> {
  const { maintainers } = readNotes(await knownPackage(repository, params.package))
  return json(Object.fromEntries(maintainers.map(({ name }) => [name, 'write'])), 200, NO_STORE)
}

/** Asking for what already is succeeds; anything else is an administrator's to change. */
export async function setAccess({ repository, params, request }: OfPackage): Promise<Reply> {
  await knownPackage(repository, params.package)
  const sent = await readJson(request, BODY_LIMIT)
  const { access, publish_requires_tfa: tfa } = isObject(sent) ? sent : {}
  const present = repository.record.public ? 'public' : 'restricted'
  const wanted = access === 'private' ? 'restricted' : access
  if (tfa !== true && (wanted === undefined || wanted === present)) return json({ ok: true }, 200, NO_STORE)
  throw new RegistryError(
    'invalid',
    `Access to packages is that of the repository ${repository.key}, which is ${present}; an administrator can change it`,
  )
}

export async function refuseTeams(): Promise<Reply> {
  throw new RegistryError(
    'unsupported',
    'Teams and organisations are groups and grants here, changed through the REST interface',
  )
}
