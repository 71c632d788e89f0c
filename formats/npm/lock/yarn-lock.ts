/**
 * yarn.lock, of Yarn 1 and of its successors, which spell the same blocks in two ways. The successors' checksums are of archives
 * that Yarn makes itself, so they say nothing about tarballs.
 *
 *     "name@^1.0.0", name@1.0.x:                      "name@npm:^1.0.0":
 *       version "1.0.1"                                 version: 1.0.1
 *       resolved "https://…/name-1.0.1.tgz#…"           resolution: "name@npm:1.0.1"
 *       integrity sha512-…                              conditions: os=linux & cpu=x64
 */
import { RegistryError } from '../../../protocol/errors.js'
import type { LockContent, Platform } from '../../../protocol/lock.js'
import { contentOf, type Entry } from './entry.js'

interface Block {
  /** The first of the ranges that it satisfies. */
  range: string
  fields: Map<string, string>
}

export function readYarnLock(source: string, platform?: Platform): LockContent {
  if (!/^(?:# yarn lockfile v1|__metadata:)/m.test(source))
    throw new RegistryError('invalid', "The lock file is not one of Yarn's")
  return contentOf(
    [...blocks(source)].flatMap((block) => entryOf(block) ?? []),
    platform,
  )
}

function* blocks(source: string): Iterable<Block> {
  let block: Block | undefined
  for (const line of source.split(/\r?\n/)) {
    const range = /^"?([^\s#"][^",]*)"?.*:\s*$/.exec(line)?.[1]
    if (range !== undefined) {
      if (block) yield block
      block = { range, fields: new Map() }
    }
    const [, key, value = ''] = /^ {2}([a-zA-Z]+):? "?(.*?)"?\s*$/.exec(line) ?? []
    if (key !== undefined) block?.fields.set(key, value)
  }
  if (block) yield block
}

/** undefined: a part of the project itself, or a change to a package that has a block of its own. */
function entryOf({ range, fields }: Block): Entry | undefined {
  const version = fields.get('version') ?? ''
  const resolution = fields.get('resolution')
  const conditions = fields.get('conditions') ?? ''
  const common = { version, os: conditionsOf(conditions, 'os'), cpu: conditionsOf(conditions, 'cpu') }
  if (resolution === undefined) {
    const [, name = range, alias] = /^((?:@[^/]+\/)?[^@]+)@(?:npm:((?:@[^/]+\/)?[^@]+))?/.exec(range) ?? []
    const [resolved, integrity] = [fields.get('resolved') ?? '', fields.get('integrity') ?? '']
    return range === '__metadata' ? undefined : { ...common, name: alias ?? name, resolved, integrity }
  }
  const [, name = resolution, protocol] = /^((?:@[^/]+\/)?[^@]+)@([a-z+]+):/.exec(resolution) ?? []
  if (fields.get('linkType') === 'soft' || protocol === 'patch') return undefined
  return { ...common, name, resolved: protocol === 'npm' ? '' : resolution, integrity: '' }
}

function conditionsOf(conditions: string, field: 'os' | 'cpu'): string[] {
  return [...conditions.matchAll(/\b(os|cpu)=(!?\w+)/g)].flatMap(([, key, value]) =>
    key === field && value !== undefined ? [value] : [],
  )
}
