/**
 * PUT /{pkg}: `npm publish`, and everything else that clients do by sending a packument back. The tarball goes into the store
 * while the document around it is still arriving; names are committed only when all of it has been checked.
 */

import { once } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Held, Package, Position, Step } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { decodeBase64 } from '../text/base64-stream.js'
import { isObject, type JsonObject, own, parseJson } from '../text/json.js'
import { scanJson } from '../text/json-stream.js'
import { checkAgreement, hasInstallScript } from './agreement.js'
import { edit } from './edit.js'
import { layEntry } from './entry.js'
import { bundlePath, checkName, checkNewName, checkVersion, tarballPath, versionOfFile } from './name.js'
import { notesOf, readNotes, writeNotes } from './notes.js'
import { attestationsPath, type Provenance, parseBundle } from './provenance.js'
import { checkPublish, type Published, type Received } from './publish-body.js'
import { revisionOf } from './revision.js'
import { type Inspected, Inspection } from './tarball.js'

type Publishing = Call<{ package: string }>

/** Of the document without its tarball. */
const DOCUMENT_LIMIT = 16 * 1024 * 1024
const TARBALL_LIMIT = 4 * 1024 ** 3
const HASHES = ['sha1', 'sha512'] as const
/** A package's notes are read, changed and written back: so often, when others do the same at the same time. */
const ATTEMPTS = 5

export async function putPackage(call: Publishing): Promise<Reply> {
  const { package: name } = call.params
  const target = call.target()
  checkName(name)
  const tarballs: Tarball[] = []
  const text = await scanJson(call.request.body, {
    under: '_attachments',
    field: 'data',
    limit: DOCUMENT_LIMIT,
    wanted: (file) => file.endsWith('.tgz'),
    take: async (file, data) => {
      if (tarballs.length > 0) throw new RegistryError('invalid', 'A publish carries exactly one tarball')
      tarballs.push(await receive(call, target, file, data))
    },
  })
  const document = parseJson(text)
  if (!isObject(document)) throw new RegistryError('invalid', 'The body is not an object')
  const [tarball] = tarballs
  return tarball ? publish(call, target, document, tarball) : edit(call, document, { mayRemove: false })
}

interface Tarball extends Received {
  inspected: Inspected
  /** The package as it was when the tarball began to arrive. */
  known: Package | undefined
}

async function receive(
  call: Publishing,
  target: Writable,
  file: string,
  data: AsyncIterable<Uint8Array>,
): Promise<Tarball> {
  const { package: name } = call.params
  const version = versionOfFile(name, file, 'tgz')
  if (version === undefined)
    throw new RegistryError(
      'invalid',
      `The attachment ${JSON.stringify(file.slice(0, 100))} is not named like a tarball of ${name}`,
    )
  checkVersion(version)
  tarballPath(name, version)
  const known = await call.repository.package(name)
  if (!known) checkNewName(name)
  else if (!target.record.redeploy && (await call.repository.version(name, version))) throw taken(version)
  const inspection = new Inspection()
  const stored = await target.receive(inspection.watch(decodeBase64(data)), {
    hashes: HASHES,
    limit: TARBALL_LIMIT,
    signal: call.request.signal,
  })
  return { file, version, stored, inspected: inspection.result, known }
}

async function publish(call: Publishing, target: Writable, document: JsonObject, tarball: Tarball): Promise<Reply> {
  const { package: name } = call.params
  const published = checkPublish(document, name, tarball)
  checkAgreement(published.entry, tarball.inspected)
  const provenance =
    published.bundle === undefined ? undefined : parseBundle(published.bundle, name, tarball.version, tarball.stored)
  const files: Held[] = [{ path: tarballPath(name, tarball.version), ...tarball.stored }]
  if (provenance) files.push(await keepBundle(call, target, provenance, bundlePath(name, tarball.version)))
  const meta = layEntry(entryOf(call, published.entry, tarball.inspected), {
    tarball: tarballPath(name, tarball.version),
    shasum: tarball.stored.hashes.sha1 ?? '',
    integrity: `sha512-${Buffer.from(tarball.stored.hashes.sha512 ?? '', 'hex').toString('base64')}`,
    fileCount: tarball.inspected.fileCount,
    unpackedSize: tarball.inspected.unpackedSize,
    ...(provenance && {
      attestations: { path: attestationsPath(name, tarball.version), predicateType: provenance.predicateType },
    }),
  })
  const manifest = { package: name, version: tarball.version, files, meta, publishedAt: target.now() }
  const position = await commit(call, target, published, { kind: 'publish', manifest }, tarball)
  return json({ ok: true, success: true, id: name, rev: revisionOf(position.number) }, 201)
}

/** What the registry adds: who published it, and what installers would otherwise have to unpack the tarball for. */
function entryOf({ principal }: Publishing, entry: JsonObject, inspected: Inspected): JsonObject {
  const { hasInstallScript: _, _hasShrinkwrap: __, ...sent } = entry
  return {
    ...sent,
    _hasShrinkwrap: inspected.hasShrinkwrap,
    ...(hasInstallScript(entry, inspected) ? { hasInstallScript: true } : {}),
    _npmUser: personOf(principal),
  }
}

async function keepBundle(call: Publishing, target: Writable, { bundle }: Provenance, path: string): Promise<Held> {
  const bytes = Buffer.from(bundle)
  return {
    path,
    ...(await target.receive(once(bytes), {
      limit: DOCUMENT_LIMIT,
      length: bytes.length,
      signal: call.request.signal,
    })),
  }
}

async function commit(
  call: Publishing,
  target: Writable,
  published: Published,
  step: Step & { kind: 'publish' },
  { inspected, known: before }: Tarball,
): Promise<Position> {
  const { manifest } = step
  for (let attempt = 1; ; attempt++) {
    // What was known first may be old by now: then the first attempt is refused.
    const known = attempt === 1 ? before : await call.repository.package(manifest.package)
    const tags = await tagsFor(call, published.tags, known)
    // A publish does not fail for them: the last attempt leaves them as others wrote them.
    const notes = attempt < ATTEMPTS ? changedNotes(call, published, inspected, tags, known) : undefined
    const steps: Step[] = [{ ...step, tags }]
    if (notes !== undefined) steps.push({ kind: 'amend', package: manifest.package, version: null, meta: notes })
    try {
      const unchanged = { package: manifest.package, last: known?.last ?? 0 }
      return await target.commit(steps, call.principal, ...(notes === undefined ? [] : [unchanged]))
    } catch (error) {
      await explain(error, call, target, manifest.version, known)
      if (attempt === ATTEMPTS) throw error
    }
  }
}

/** The first version is `latest`, whatever else it is called: a package without it could not be installed by name. */
async function tagsFor(
  { repository, params }: Publishing,
  tags: string[],
  known: Package | undefined,
): Promise<string[]> {
  if (tags.includes('latest')) return tags
  const present = known && known.versions > 0 ? await repository.tags(params.package) : {}
  return own(present, 'latest') === undefined ? [...tags, 'latest'] : tags
}

/** undefined: the package's notes stay as they are. */
function changedNotes(
  call: Publishing,
  published: Published,
  inspected: Inspected,
  tags: string[],
  known: Package | undefined,
): string | undefined {
  const before = readNotes(known)
  const readme = published.readme ?? inspected.readme ?? { filename: '', text: '' }
  const maintainers = before.maintainers.length > 0 ? before.maintainers : [personOf(call.principal)]
  const after = { ...before, maintainers, ...(tags.includes('latest') ? notesOf(published.entry, readme) : {}) }
  const text = writeNotes(after)
  return known && text === writeNotes(before) ? undefined : text
}

/** Returns when the package changed under our hands and it is worth another try; throws what the client is to be told otherwise. */
async function explain(
  error: unknown,
  { repository, params }: Publishing,
  target: Writable,
  version: string,
  known: Package | undefined,
): Promise<void> {
  if (!(error instanceof RegistryError) || error.kind !== 'conflict') throw error
  if (!target.record.redeploy && (await repository.version(params.package, version))) throw taken(version)
  const now = await repository.package(params.package)
  if ((now?.last ?? 0) === (known?.last ?? 0)) throw error
}

/** `npm view` prints the word undefined for an address that is missing. */
function personOf({ name, user }: Publishing['principal']): { name: string; email: string } {
  return { name, email: user?.email ?? '' }
}

/** npm's own sentence. */
function taken(version: string): RegistryError {
  return new RegistryError('conflict', `You cannot publish over the previously published versions: ${version}.`, {
    code: 'version_taken',
  })
}
