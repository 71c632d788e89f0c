/**
 * A packument that a client read with ?write=true, changed and sent back. What it may change: deprecations, maintainers, its
 * user's own star, and, on PUT /{pkg}/-rev/{rev}, which versions there are. Everything else in the document is ignored.
 */

import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Package, Step, Version } from '../../protocol/records.js'
import { isObject, type JsonObject, own } from '../text/json.js'
import { orderEntry, readEntry } from './entry.js'
import { allVersions, knownPackage } from './known.js'
import { type Notes, parseMaintainers, readNotes, writeNotes } from './notes.js'
import { removal } from './removal.js'
import { checkRevision, revisionOf } from './revision.js'

type Editing = Call<{ package: string }>

const MAX_DEPRECATION = 4096

export async function edit(call: Editing, document: JsonObject, options: { mayRemove: boolean }): Promise<Reply> {
  const { package: name } = call.params
  const target = call.target()
  const entry = await knownPackage(call.repository, name)
  if (document._rev !== undefined) checkRevision(entry, document._rev)
  const steps = await changes(call, entry, document, options.mayRemove)
  const last = entry.last
  const number =
    steps.length === 0 ? last : (await target.commit(steps, call.principal, { package: name, last })).number
  return json({ ok: true, id: name, rev: revisionOf(number) }, 201)
}

async function changes(call: Editing, entry: Package, document: JsonObject, mayRemove: boolean): Promise<Step[]> {
  const steps: Step[] = []
  if (document.versions !== undefined) {
    if (!isObject(document.versions)) throw new RegistryError('invalid', '"versions" is not an object')
    const present = await allVersions(call.repository, entry.name)
    steps.push(...deprecations(entry.name, present, document.versions))
    if (mayRemove) steps.push(...(await removed(call, entry.name, present, document.versions)))
  }
  const before = readNotes(entry)
  const after = writeNotes(noted(call, before, document))
  if (after !== writeNotes(before)) steps.push({ kind: 'amend', package: entry.name, version: null, meta: after })
  return steps
}

function deprecations(name: string, present: Map<string, Version>, sent: JsonObject): Step[] {
  return Object.entries(sent).flatMap(([version, changed]): Step[] => {
    const stored = present.get(version)
    if (!stored)
      throw new RegistryError(
        'invalid',
        `${name}@${version} is not there, and without its tarball it cannot be published`,
      )
    const message = isObject(changed) ? deprecation(changed.deprecated) : undefined
    if (message === undefined && !stored.meta.includes('"deprecated":')) return []
    const { deprecated, ...rest } = readEntry(stored.meta)
    if (message === deprecated) return []
    return [
      {
        kind: 'amend',
        package: name,
        version,
        meta: orderEntry(message === undefined ? rest : { ...rest, deprecated: message }),
      },
    ]
  })
}

/** An empty message takes the deprecation back. */
function deprecation(message: unknown): string | undefined {
  if (message === undefined || message === '' || message === false || message === null) return undefined
  if (typeof message !== 'string' || message.length > MAX_DEPRECATION)
    throw new RegistryError('invalid', `A deprecation is a text of at most ${MAX_DEPRECATION} characters`)
  return message
}

async function removed(call: Editing, name: string, present: Map<string, Version>, sent: JsonObject): Promise<Step[]> {
  const gone = [...present.keys()].filter((version) => !Object.hasOwn(sent, version))
  if (gone.length === 0) return []
  if (!call.may('delete', name)) throw new RegistryError('forbidden', `You may not remove versions of ${name}`)
  return removal(name, gone, present.keys(), await call.repository.tags(name))
}

function noted({ principal }: Editing, before: Notes, document: JsonObject): Notes {
  const maintainers = document.maintainers === undefined ? before.maintainers : parseMaintainers(document.maintainers)
  if (!isObject(document.users)) return { ...before, maintainers }
  const others = before.users.filter((user) => user !== principal.name)
  return {
    ...before,
    maintainers,
    users: own(document.users, principal.name) === true ? [...others, principal.name] : others,
  }
}
