/**
 * Gives a received file its name. A version begins with the first file that arrives and grows by the others, which clients send
 * side by side; its POM makes it visible in indexes. A file that names no build of its snapshot is given one.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Held, Step, Stored, Version } from '../../protocol/records.js'
import type { Repository, Writable } from '../../protocol/repository.js'
import { refuseOtherBytes } from '../generic/record.js'
import { readEntry, writeEntry } from './entry.js'
import { type ArtifactPath, buildVersion, isSnapshot, pathInBuild } from './layout.js'
import { PLUGIN, pluginSteps, readDescriptor } from './plugin.js'
import type { Pom } from './pom.js'
import { buildsOf } from './snapshot.js'

/** Others record files of the same version at the same time. */
const ATTEMPTS = 20

export async function record(
  call: Call<{ path: string }>,
  target: Writable,
  sent: ArtifactPath,
  stored: Stored,
  pom: Pom | undefined,
): Promise<Reply> {
  const { repository, principal } = call
  for (let attempt = 1; ; attempt++) {
    const at = needsBuild(sent) ? await inBuild(repository, sent, stored, target.now()) : sent
    const present = await repository.file(at.path)
    if (present?.digest === stored.digest) return empty(200)
    if (present && !target.record.redeploy) throw refuseOtherBytes(present)
    const { steps, lock } = await proposal(repository, target, at, { path: at.path, ...stored }, pom)
    try {
      await target.commit(steps, principal, ...lock)
      return empty(201)
    } catch (error) {
      if (!(error instanceof RegistryError) || error.kind !== 'conflict' || attempt === ATTEMPTS) throw error
    }
  }
}

interface Proposal {
  steps: Step[]
  lock: { package: string; last: number }[]
}

async function proposal(
  repository: Repository,
  target: Writable,
  at: ArtifactPath,
  file: Held,
  pom: Pom | undefined,
): Promise<Proposal> {
  const known = await repository.package(at.package)
  const before = await repository.version(at.package, at.version)
  const packaging = pom?.packaging ?? readEntry(before?.meta ?? '')?.packaging
  const plugin = await pluginOf(repository, at, packaging, before, file)
  const steps = before ? growing(before, at, file, pom) : [beginning(at, file, pom, target.now())]
  if (plugin) steps.push(...(await pluginSteps(repository, at, plugin, target.now())))
  // A plugin's jar and POM must not miss each other; and where a version may be published twice, two first files of one would
  // each be its only file in turn.
  const mayMiss = at.rest === '.pom' ? packaging === PLUGIN : at.rest === '.jar' && packaging === undefined
  const isLocked = before ? mayMiss : target.record.redeploy
  return { steps, lock: isLocked ? [{ package: at.package, last: known?.last ?? 0 }] : [] }
}

function beginning(at: ArtifactPath, file: Held, pom: Pom | undefined, publishedAt: string): Step {
  const meta = writeEntry({ base: at.base, packaging: pom?.packaging })
  return { kind: 'publish', manifest: { package: at.package, version: at.version, files: [file], meta, publishedAt } }
}

function growing({ meta }: Version, at: ArtifactPath, file: Held, pom: Pom | undefined): Step[] {
  const { package: name, version, base } = at
  const grown: Step = { kind: 'add', package: name, version, files: [file] }
  if (!pom) return [grown]
  const entry = writeEntry({ base, packaging: pom.packaging }, meta)
  return entry === meta ? [grown] : [grown, { kind: 'amend', package: name, version, meta: entry }]
}

/** Known when both its jar and its POM are here, whichever comes last. */
async function pluginOf(
  repository: Repository,
  at: ArtifactPath,
  packaging: string | undefined,
  before: Version | undefined,
  file: Held,
) {
  if (packaging !== PLUGIN || (at.rest !== '.jar' && at.rest !== '.pom')) return undefined
  const path = `${at.path.slice(0, -at.rest.length)}.jar`
  const jar =
    at.rest === '.jar' ? file : before?.files.find((one): one is Held => one.path === path && !('offered' in one))
  return jar && readDescriptor(repository, jar, at)
}

/** Ivy, sbt and old Mavens leave the build out, and expect to send the same path again. */
function needsBuild({ base, version }: ArtifactPath): boolean {
  return isSnapshot(base) && version === base
}

/** The newest build, while the file is new to it; else the next one. */
async function inBuild(repository: Repository, sent: ArtifactPath, stored: Stored, now: string): Promise<ArtifactPath> {
  const builds = await buildsOf(repository, sent.package, sent.base)
  const [newest] = builds
  const number = 1 + builds.reduce((most, { build }) => Math.max(most, build.number), 0)
  const timestamp = `${now.slice(0, 10).replaceAll('-', '')}.${now.slice(11, 19).replaceAll(':', '')}`
  const next = newest?.version.version
  const there = next === undefined ? undefined : await repository.file(pathInBuild(sent, next))
  const joins = next !== undefined && (!there || there.digest === stored.digest)
  const version = joins ? next : buildVersion(sent.base, { timestamp, number })
  return { ...sent, version, path: pathInBuild(sent, version) }
}
