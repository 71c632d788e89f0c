/**
 * pnpm-lock.yaml, of the versions 5 to 9, in the one shape that pnpm writes it in: no YAML but that is understood.
 *
 *     packages:
 *
 *       '@scope/name@1.0.0':                     /@scope/name@1.0.0(peer@2.0.0)  /@scope/name/1.0.0_peer@2.0.0
 *         resolution: {integrity: sha512-…}
 *         cpu: [arm64]
 */
import { RegistryError } from '../../../protocol/errors.js'
import type { LockContent, Platform } from '../../../protocol/lock.js'
import { contentOf, type Entry } from './entry.js'

const KEY = /^ {2}(['"]?)(\S.*?)\1:\s*$/
const INTEGRITY = /^ {4,6}(?:resolution: \{(?:.*, )?)?integrity: ([^\s,}]+)/
const TARBALL = /^ {4,6}(?:resolution: \{(?:.*, )?)?(?:tarball|repo|directory): ([^\s,}]+)/
const FIELD = /^ {4}(os|cpu): \[(.*)\]\s*$/

export function readPnpmLock(source: string, platform?: Platform): LockContent {
  const lines = source.split(/\r?\n/)
  if (!lines.some((line) => line.startsWith('lockfileVersion:')))
    throw new RegistryError('invalid', "The lock file is not one of pnpm's")
  return contentOf(entries(lines), platform)
}

function* entries(lines: readonly string[]): Iterable<Entry> {
  let entry: Entry | undefined
  let inside = false
  for (const line of lines) {
    if (/^\S/.test(line)) inside = line.startsWith('packages:')
    if (!inside) continue
    const key = KEY.exec(line)?.[2]
    if (key !== undefined) {
      if (entry) yield entry
      entry = named(key)
    } else if (entry) entry = filled(entry, line)
  }
  if (entry) yield entry
}

function named(key: string): Entry {
  const plain = key.replace(/^\//, '').replace(/\(.*$/, '')
  const [, name = plain, version = ''] =
    /^((?:@[^/@]+\/)?[^/@]+)@(.+)$/.exec(plain) ?? /^((?:@[^/]+\/)?[^/]+)\/([^_/]+)(?:_.*)?$/.exec(plain) ?? []
  return { name, version, resolved: '', integrity: '', os: [], cpu: [] }
}

function filled(entry: Entry, line: string): Entry {
  const integrity = INTEGRITY.exec(line)?.[1] ?? entry.integrity
  const resolved = TARBALL.exec(line)?.[1] ?? entry.resolved
  const [, field, list = ''] = FIELD.exec(line) ?? []
  const values = list.split(',').map((each) => each.trim().replace(/^'(.*)'$|^"(.*)"$/, '$1$2'))
  return { ...entry, integrity, resolved, ...(field === undefined ? {} : { [field]: values }) }
}
