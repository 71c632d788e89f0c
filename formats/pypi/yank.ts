/**
 * PUT and DELETE /pypi/{project}/{version}/yank (PEP 592): a yanked version is chosen only by who names it exactly. No client
 * has a command for it; the body of the PUT is the reason, as plain text.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import { readBody } from '../text/body.js'
import { type Entry, readEntry, writeEntry } from './entry.js'
import { knownVersion } from './known.js'
import { normalName } from './name.js'
import { normalVersion } from './version.js'

type OfVersion = Call<{ name: string; version: string }>

const REASON_LIMIT = 2000

export async function yank(call: OfVersion): Promise<Reply> {
  const reason = (await readBody(call.request, REASON_LIMIT)).toString('utf8').trim()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\0-\x1f\x7f\ufffd]/.test(reason)) throw new RegistryError('invalid', 'The reason is one line of text')
  return change(call, (entry) => ({ ...entry, yanked: reason }))
}

export async function unyank(call: OfVersion): Promise<Reply> {
  return change(call, ({ files }) => ({ files }))
}

async function change(call: OfVersion, edit: (entry: Entry) => Entry): Promise<Reply> {
  const name = normalName(call.params.name)
  const target = call.target()
  const last = (await call.repository.package(name))?.last ?? 0
  const known = await knownVersion(call, name, normalVersion(call.params.version) ?? '')
  const meta = writeEntry(edit(readEntry(known.meta)))
  if (meta !== known.meta)
    await target.commit([{ kind: 'amend', package: name, version: known.version, meta }], call.principal, {
      package: name,
      last,
    })
  return empty(204)
}
