/**
 * requirements.txt as pip-compile and uv write it: 'name==version --hash=sha256:…', over several lines that end with a backslash.
 * What a version's hashes are of it does not tell. Options of pip are read past, since a lock file needs none.
 */
import type { LockContent, Locked } from '../../../protocol/lock.js'
import { normalName } from '../name.js'
import { normalVersion } from '../version.js'

const PINNED = /^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;#,]+)/

export function readRequirements(source: string): LockContent {
  const content: LockContent = { locked: [], elsewhere: [] }
  for (const line of source.replace(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    const text = line.replace(/(?:^|\s)#.*$/, '').trim()
    if (text === '' || (text.startsWith('-') && !/^(?:-e|--editable)\b/.test(text))) continue
    const locked = lockedBy(text)
    if (locked) content.locked.push(locked)
    else content.elsewhere.push(text.split(' --hash', 1)[0]?.trim() ?? text)
  }
  return content
}

/** undefined: it is no pinned version. */
function lockedBy(text: string): Locked | undefined {
  const [, name, version] = PINNED.exec(text) ?? []
  if (name === undefined || version === undefined) return undefined
  const files = [...text.matchAll(/--hash[= ](sha256:[0-9a-f]{64})\b/g)].map(([, sum = '']) => ({ sums: [sum] }))
  return { package: normalName(name), version: normalVersion(version) ?? version, files }
}
