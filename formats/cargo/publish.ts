/**
 * PUT /api/v1/crates/new: `cargo publish`. The crate goes into the store while it arrives and is looked into on its way; names
 * are committed only when all of it has been checked. The same bytes again succeed and change nothing.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Package, Step, Stored, Version } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { parseJson } from '../text/json.js'
import { change } from './change.js'
import { CrateReader } from './crate.js'
import { type Draft, parseDraft } from './draft.js'
import { Frames } from './frames.js'
import { layLine, readLine } from './line.js'
import type { Manifest } from './manifest.js'
import { cratePath, idOf } from './name.js'
import { notesAfter, readNotes, writeNotes } from './notes.js'
import { keyOf } from './version.js'

type Publishing = Call<unknown>

const DOCUMENT_LIMIT = 16 * 1024 * 1024
const WARNINGS = { invalid_categories: [], invalid_badges: [], other: [] }

export async function publish(call: Publishing): Promise<Reply> {
  // Nobody's body is read before they are known; what it is about stands in the body.
  if (!call.principal.user) call.demand('write', '')
  const frames = new Frames(call.request.body, call.request.length)
  try {
    const draft = parseDraft(parseJson(await frames.document(DOCUMENT_LIMIT), 'The metadata of the publish'))
    call.demand('write', idOf(draft.name))
    await take(call, call.target(), draft, frames)
  } finally {
    await frames.close()
  }
  return json({ warnings: WARNINGS }, 200, { 'cache-control': 'no-store' })
}

async function take(call: Publishing, target: Writable, draft: Draft, frames: Frames): Promise<void> {
  const id = idOf(draft.name)
  checkSpelling(draft.name, await call.repository.package(id))
  const length = await frames.length()
  const present = await call.repository.version(id, keyOf(draft.version))
  // Other bytes for sure, so they need not be read.
  if (present && !target.record.redeploy && sizeOf(present) !== length) throw taken(draft, present)
  const reader = new CrateReader(draft.name, draft.version)
  const stored = await target.receive(reader.watch(frames.rest(length)), {
    limit: length,
    length,
    signal: call.request.signal,
  })
  await change(call, id, (known) => stepsFor(call, target, { draft, stored, manifest: reader.manifest }, known))
}

interface Checked {
  draft: Draft
  stored: Stored
  manifest: Manifest
}

async function stepsFor(
  call: Publishing,
  target: Writable,
  { draft, stored, manifest }: Checked,
  known: Package | undefined,
): Promise<Step[] | undefined> {
  const { name, version } = draft
  const id = idOf(name)
  checkSpelling(name, known)
  const present = await call.repository.version(id, keyOf(version))
  if (present) {
    const { cksum, vers } = readLine(present.meta)
    if (cksum === stored.digest && vers === version) return undefined
    if (!target.record.redeploy) throw taken(draft, present)
  }
  const publishedAt = target.now()
  const notes = notesAfter(readNotes(known), draft, call.principal.name)
  return [
    {
      kind: 'publish',
      manifest: {
        package: id,
        version: keyOf(version),
        files: [{ path: cratePath(name, version), ...stored }],
        meta: layLine(draft, manifest, stored.digest, publishedAt),
        publishedAt,
      },
    },
    { kind: 'amend', package: id, version: null, meta: writeNotes(notes) },
  ]
}

/** Throws `conflict`: the first publish decides how a crate is spelled. */
function checkSpelling(name: string, known: Package | undefined): void {
  const spelled = readNotes(known)?.name ?? name
  if (spelled !== name)
    throw new RegistryError(
      'conflict',
      `The crate is called ${spelled} here; ${name} differs only in case or by "-" and "_"`,
      {
        code: 'name_taken',
      },
    )
}

function taken({ name, version }: Draft, present: Version): RegistryError {
  const { vers } = readLine(present.meta)
  const same = vers === version ? '' : `, and ${version} differs from it only in build metadata`
  return new RegistryError('conflict', `The crate ${name} ${vers} is already uploaded${same}`, {
    code: 'version_taken',
  })
}

function sizeOf({ files }: Version): number | undefined {
  const [file] = files
  return file && 'size' in file ? file.size : undefined
}
