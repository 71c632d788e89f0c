/**
 * The document of `npm publish`, checked against what really arrived with it: one version, its tarball, its tags. Pure; throws
 * `invalid` with a sentence that npm shows.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'
import { isObject, type JsonObject, own } from '../text/json.js'
import { checkTag, versionOfFile } from './name.js'
import { text } from './notes.js'

/** A tarball as it was received, before the document around it was complete. */
export interface Received {
  /** Its name among the attachments. */
  file: string
  /** The version that the name says. */
  version: string
  stored: Stored
}

export interface Published {
  entry: JsonObject
  tags: string[]
  /** The text of a Sigstore bundle, unchecked. */
  bundle: unknown
  readme: { filename: string; text: string } | undefined
}

export function checkPublish(document: JsonObject, name: string, received: Received): Published {
  if ((document.name ?? name) !== name || (document._id ?? name) !== name)
    throw invalid(`The document is not about ${name}, to which it was sent`)
  const entry = onlyVersion(document.versions, received.version)
  if (entry.name !== name || entry.version !== received.version)
    throw invalid(
      `The published version calls itself ${String(entry.name)}@${String(entry.version)}, its tarball ${name}@${received.version}`,
    )
  checkDist(entry.dist, received.stored)
  return {
    entry: withoutReadme(entry),
    tags: tagsOf(document['dist-tags'], received.version),
    bundle: checkAttachments(document._attachments, name, received),
    readme: readmeOf(entry) ?? readmeOf(document),
  }
}

function onlyVersion(versions: unknown, version: string): JsonObject {
  const names = isObject(versions) ? Object.keys(versions) : []
  if (names.length !== 1) throw invalid('A publish carries exactly one version')
  const entry = isObject(versions) ? own(versions, version) : undefined
  if (!isObject(entry)) throw invalid(`The tarball is of version ${version}, and the document has version ${names[0]}`)
  return entry
}

function checkDist(dist: unknown, { hashes }: Stored): void {
  if (dist === undefined) return
  if (!isObject(dist)) throw invalid('"dist" is not an object')
  const { shasum, integrity } = dist
  if (shasum !== undefined && text(shasum).toLowerCase() !== hashes.sha1) throw mismatch('shasum')
  if (integrity === undefined) return
  for (const one of text(integrity).trim().split(/\s+/)) checkIntegrity(one, hashes)
}

/** One hash of Subresource Integrity: "sha512-base64?option". Unknown algorithms say nothing. */
function checkIntegrity(expression: string, hashes: Stored['hashes']): void {
  const [, algorithm, value = ''] = /^(sha1|sha512)-([A-Za-z0-9+/]+=*)(?:\?|$)/.exec(expression) ?? []
  if (algorithm === undefined) {
    if (/^sha(?:256|384)-[A-Za-z0-9+/]+=*(?:\?|$)/.test(expression)) return
    throw invalid('dist.integrity is not a subresource integrity text')
  }
  const hash = algorithm === 'sha1' ? hashes.sha1 : hashes.sha512
  if (Buffer.from(value, 'base64').toString('hex') !== hash) throw mismatch('integrity')
}

function tagsOf(sent: unknown, version: string): string[] {
  if (sent !== undefined && !isObject(sent)) throw invalid('"dist-tags" is not an object')
  const tags = Object.entries(sent ?? {})
  for (const [tag, named] of tags) {
    checkTag(tag)
    if (named !== version)
      throw invalid(`The tag ${tag} names ${String(named)}, which is not the version that is published`)
  }
  return tags.length === 0 ? ['latest'] : tags.map(([tag]) => tag)
}

/** Returns the Sigstore bundle's text, if there is one. */
function checkAttachments(attachments: unknown, name: string, { file, version, stored }: Received): unknown {
  let bundle: unknown
  for (const [attached, about] of Object.entries(isObject(attachments) ? attachments : {})) {
    if (!isObject(about)) throw invalid(`The attachment ${attached} is not an object`)
    if (attached === file) checkLength(about.length, stored.size)
    else if (versionOfFile(name, attached, 'sigstore') === version) bundle = about.data
    else throw invalid(`The attachment ${JSON.stringify(attached.slice(0, 100))} does not belong to ${name}@${version}`)
  }
  return bundle
}

function checkLength(length: unknown, size: number): void {
  if (length !== undefined && length !== size)
    throw invalid(`The tarball should have ${JSON.stringify(length)} bytes and has ${size}`)
}

/** What older clients write where there is none. */
const NO_README = 'ERROR: No README data found'

function readmeOf({ readme, readmeFilename }: JsonObject): Published['readme'] {
  if (typeof readme !== 'string' || readme === '' || readme.startsWith(NO_README)) return undefined
  return { filename: typeof readmeFilename === 'string' ? readmeFilename : 'README.md', text: readme }
}

/** It is kept once for the package, not with each version. */
function withoutReadme(entry: JsonObject): JsonObject {
  const { readme: _, readmeFilename: __, ...rest } = entry
  return rest
}

function mismatch(field: string): RegistryError {
  return new RegistryError('invalid', `dist.${field} is not that of the tarball: it was damaged on the way`, {
    code: 'digest_mismatch',
  })
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_publish' })
}
