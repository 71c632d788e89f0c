/**
 * `npm unpublish`. One version: PUT /{pkg}/-rev/{rev} without it, then DELETE of its tarball; all: DELETE /{pkg}/-rev/{rev}.
 * Here a version and its tarball go together, whichever request comes first. What was removed stays taken.
 */

import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import { readJson } from '../text/body.js'
import { isObject } from '../text/json.js'
import { edit } from './edit.js'
import { allVersions, knownPackage } from './known.js'
import { tarballPath, versionOfFile } from './name.js'
import { removal } from './removal.js'
import { checkRevision, revisionOf } from './revision.js'

type Revised = Call<{ package: string; rev: string }>

const DOCUMENT_LIMIT = 16 * 1024 * 1024

export async function putRevision(call: Revised): Promise<Reply> {
  const document = await readJson(call.request, DOCUMENT_LIMIT)
  if (!isObject(document)) throw new RegistryError('invalid', 'The body is not an object')
  checkRevision(await knownPackage(call.repository, call.params.package), call.params.rev)
  return edit(call, { ...document, _rev: call.params.rev }, { mayRemove: true })
}

export async function removePackage(call: Revised): Promise<Reply> {
  const versions = await allVersions(call.repository, call.params.package)
  return remove(call, [...versions.keys()], [...versions.keys()])
}

export async function removeTarball(call: Call<{ package: string; file: string; rev: string }>): Promise<Reply> {
  const { package: name, file } = call.params
  const version = versionOfFile(name, file, 'tgz')
  const entry = await call.repository.package(name)
  if (!entry || version === undefined) throw new RegistryError('missing', `There is no ${name}/-/${file} here`)
  // npm asks for this after it has removed the version, and with it the tarball.
  if (!(await call.repository.file(tarballPath(name, version))))
    return json({ ok: true, id: name, rev: revisionOf(entry.last) })
  const versions = await allVersions(call.repository, name)
  return remove(call, [version], [...versions.keys()])
}

async function remove(call: Revised, gone: string[], present: string[]): Promise<Reply> {
  const { package: name, rev } = call.params
  const target = call.target()
  const entry = await knownPackage(call.repository, name)
  checkRevision(entry, rev)
  const steps = removal(name, gone, present, await call.repository.tags(name))
  const { number } = await target.commit(steps, call.principal, { package: name, last: entry.last })
  return json({ ok: true, id: name, rev: revisionOf(number) })
}
