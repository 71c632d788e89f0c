/** `cargo yank [--undo]`: a yanked version stays for those who have it in a lock file, and is chosen by nobody else. */
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import { change } from './change.js'
import { knownVersion } from './known.js'
import { yankedLine } from './line.js'
import { idOf } from './name.js'
import { keyOf } from './version.js'

type OfVersion = Call<{ crate: string; version: string }>

export function yank(call: OfVersion): Promise<Reply> {
  return mark(call, true)
}

export function unyank(call: OfVersion): Promise<Reply> {
  return mark(call, false)
}

async function mark(call: OfVersion, yanked: boolean): Promise<Reply> {
  const { crate, version } = call.params
  call.target()
  const id = idOf(crate)
  await change(call, id, async () => {
    const { line } = await knownVersion(call.repository, crate, version)
    if (line.yanked === yanked) return undefined
    return [{ kind: 'amend', package: id, version: keyOf(version), meta: yankedLine(line, yanked) }]
  })
  return json({ ok: true }, 200, { 'cache-control': 'no-store' })
}
