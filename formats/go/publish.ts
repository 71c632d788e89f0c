/**
 * PUT /{module}/@v/{version}.zip: the one way to publish, since no Go client has one. The zip file is stored as it arrives, read
 * where it lies, and named only when it is right; .mod and .info follow from it.
 */

import { createHash } from 'node:crypto'
import { bounded } from '../../protocol/blobs/bounded.js'
import { once } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Held, Version as Published, Step } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { type Asked, asked, checkPublishable, pathOf } from './address.js'
import { type Entry, readEntry, writeEntry } from './entry.js'
import { type GoMod, parseGoMod } from './go-mod.js'
import { goModSum, inspect, MODULE_LIMIT } from './inspect.js'

type Publishing = Call<{ module: string; file: string }>

export async function putZip(call: Publishing): Promise<Reply> {
  const target = call.target()
  const what = zipOf(call)
  checkPublishable(what)
  checkForm(call.request.headers)
  const present = await call.repository.version(what.module, what.version)
  if (present && !target.record.redeploy) {
    await compare(call, present)
    return published(call, what, readEntry(present.meta), 200)
  }
  return publish(call, target, what)
}

/** What the path names, which must be a zip file. Throws `invalid`. */
export function zipOf({ params }: Publishing): Asked {
  const what = asked(params.module, params.file)
  if (!what)
    throw new RegistryError(
      'invalid',
      'The path is not {module}/@v/{version}.zip with "!" and a small letter for each capital one',
    )
  if (what.kind !== 'zip')
    throw new RegistryError(
      'invalid',
      `Only the .zip of a version is sent or removed; its .${what.kind} follows from it`,
    )
  return what
}

async function publish(call: Publishing, target: Writable, what: Asked): Promise<Reply> {
  const { module, version } = what
  const { body, length, signal } = call.request
  const options = { limit: MODULE_LIMIT, signal, ...(length === undefined ? {} : { length }) }
  const zip: Held = { path: pathOf(module, version, 'zip'), ...(await target.receive(body, options)) }
  const inspected = await inspect(await call.repository.open(zip), `${module}@${version}/`, signal)
  const goMod = inspected.goMod ?? Buffer.from(`module ${module}\n`)
  const { retracted } = checkGoMod(call, what, inspected.goMod)
  const mod: Held = {
    path: pathOf(module, version, 'mod'),
    ...(await target.receive(once(goMod), { limit: goMod.length, length: goMod.length, signal })),
  }
  const entry = {
    sum: inspected.sum,
    goModSum: goModSum(goMod),
    hasGoMod: inspected.goMod !== undefined,
    retracted,
  }
  const manifest = {
    package: module,
    version,
    files: [zip, mod],
    meta: writeEntry(entry),
    publishedAt: target.now(),
  }
  const isNew = await commit(call, target, { kind: 'publish', manifest }, zip)
  return published(call, what, entry, isNew ? 201 : 200)
}

/** A fork that others `replace` a module with keeps that module's go.mod: who means it says ?replacement=true. */
function checkGoMod({ request }: Publishing, { module, version }: Asked, bytes: Buffer | undefined): GoMod {
  if (!bytes) return { module, retracted: [] }
  if (version.endsWith('+incompatible'))
    throw new RegistryError(
      'invalid',
      'A module with a go.mod cannot be +incompatible: its path ends in its major version',
    )
  const goMod = parseGoMod(bytes)
  if (goMod.module !== module && new URLSearchParams(request.query).get('replacement') !== 'true')
    throw new RegistryError(
      'invalid',
      `The go.mod is of ${goMod.module}, not of ${module}; add ?replacement=true if it is only used by replace`,
    )
  return goMod
}

/** Two clients that send the same bytes at the same time have both succeeded: false for the second. */
async function commit(
  { repository, principal }: Publishing,
  target: Writable,
  step: Step & { kind: 'publish' },
  zip: Held,
): Promise<boolean> {
  try {
    await target.commit([step], principal)
    return true
  } catch (error) {
    if (!(error instanceof RegistryError) || error.kind !== 'conflict') throw error
    const now = await repository.file(zip.path)
    if (now?.digest !== zip.digest) throw error
    return false
  }
}

/** The bytes are there or they are not wanted, so they are compared as they pass and never stored. */
async function compare({ repository, request, params }: Publishing, { version }: Published): Promise<void> {
  const present = await repository.file(`${params.module}/@v/${params.file}`)
  const other = new RegistryError('conflict', `${version} is published already, and a version never changes`, {
    code: 'version_taken',
  })
  if (!present || (request.length !== undefined && request.length !== present.size)) throw other
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of bounded(request.body, MODULE_LIMIT, request.signal)) {
    size += chunk.length
    if (size > present.size) throw other
    hash.update(chunk)
  }
  if (hash.digest('hex') !== present.digest) throw other
}

function published({ base }: Publishing, { module, version }: Asked, entry: Entry, status: 200 | 201): Reply {
  const { sum, goModSum: ofGoMod } = entry
  return json({ module, version, sum, go_mod_sum: ofGoMod }, status, {
    'cache-control': 'no-store',
    location: `${base}/${pathOf(module, version, 'zip')}`,
  })
}

function checkForm(headers: ReadonlyMap<string, string>): void {
  if (/^multipart\//i.test(headers.get('content-type') ?? ''))
    throw new RegistryError('invalid', 'Send the zip file itself as the body, not as a form')
  if ((headers.get('content-encoding') ?? 'identity').toLowerCase() !== 'identity')
    throw new RegistryError('invalid', 'Send the zip file without a Content-Encoding')
}
