/**
 * A project's page of another index, JSON (PEP 691, 700) or HTML (PEP 503), as one list of links with what is said of each:
 * yanks (PEP 592), core metadata (658, 714), provenance (740), and of the whole the status (792).
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Promised } from '../../protocol/records.js'
import { type HtmlTag, htmlTags } from '../text/html-tags.js'
import { isObject, type JsonObject, parseJson } from '../text/json.js'
import { linkFrom } from '../text/link.js'
import { isoTime } from '../text/time.js'
import { isSpecifier } from './metadata.js'
import { normalName } from './name.js'
import { writeStatus } from './status.js'

export interface Link {
  file: string
  /** Without a fragment. */
  url: URL
  promised: Promised
  /** Bytes. */
  size: number | undefined
  /** ISO 8601. */
  uploaded: string | undefined
  requiresPython: string | undefined
  /** Why; may be ''. */
  yanked: string | undefined
  /** SHA-256 of the core metadata, or true where it is there and that is not told. */
  metadata: string | true | undefined
  provenance: URL | undefined
}

interface Page {
  links: Link[]
  /** As `writeStatus` has it. */
  status: string
}

/** Several times as many as any project has. */
const MAX_LINKS = 100_000

/** `address`: where the page came from. Links that lead nowhere are left out. Throws `invalid`, `upstream`. */
export function parsePage(name: string, document: Uint8Array, address: URL): Page {
  const text = new TextDecoder().decode(document)
  return /^\s*\{/.test(text) ? readJson(name, text, address) : readHtml(text, address)
}

function readJson(name: string, text: string, address: URL): Page {
  const page = parseJson(text, "The upstream's page")
  if (!isObject(page) || typeof page.name !== 'string' || normalName(page.name) !== name || !Array.isArray(page.files))
    throw new RegistryError('upstream', `The upstream's page is not about ${name}`)
  if (isObject(page.meta)) checkApi(page.meta['api-version'])
  checkCount(page.files)
  const status = isObject(page['project-status']) ? page['project-status'] : {}
  return {
    links: page.files.flatMap((entry) => (isObject(entry) ? (jsonLink(entry, address) ?? []) : [])),
    status: writeStatus(status.status, status.reason),
  }
}

function jsonLink(entry: JsonObject, address: URL): Link | undefined {
  const url = linkFrom(address, entry.url)
  if (!url || typeof entry.filename !== 'string') return undefined
  return {
    file: entry.filename,
    url,
    promised: promisedBy(entry.hashes),
    size: Number.isSafeInteger(entry.size) && Number(entry.size) >= 0 ? Number(entry.size) : undefined,
    uploaded: isoTime(entry['upload-time']),
    requiresPython: specifier(entry['requires-python']),
    yanked: entry.yanked === true ? '' : typeof entry.yanked === 'string' ? reason(entry.yanked) : undefined,
    metadata: coreMetadata(entry['core-metadata'] ?? entry['dist-info-metadata'] ?? entry['data-dist-info-metadata']),
    provenance: linkFrom(address, entry.provenance),
  }
}

const TAGS = new Set(['a', 'base', 'meta'])

function readHtml(text: string, address: URL): Page {
  const links: Link[] = []
  const said = new Map<string, string>()
  let base: URL | undefined
  for (const tag of htmlTags(text, TAGS)) {
    checkCount(links)
    if (tag.name === 'a') links.push(...(htmlLink(tag, base ?? address) ?? []))
    else if (tag.name === 'base') base ??= linkFrom(address, tag.attributes.get('href'))
    else said.set(tag.attributes.get('name') ?? '', tag.attributes.get('content') ?? '')
  }
  checkApi(said.get('pypi:repository-version'))
  return { links, status: writeStatus(said.get('pypi:project-status'), said.get('pypi:project-status-reason')) }
}

function htmlLink({ attributes }: HtmlTag, base: URL): [Link] | undefined {
  const href = attributes.get('href')
  const url = linkFrom(base, href)
  const file = url && decoded(url.pathname.slice(url.pathname.lastIndexOf('/') + 1))
  if (!url || file === undefined) return undefined
  const yanked = attributes.get('data-yanked')
  const core = attributes.get('data-core-metadata') ?? attributes.get('data-dist-info-metadata')
  return [
    {
      file,
      url,
      promised: promisedBy(hashesIn(href?.slice(href.indexOf('#') + 1))),
      size: undefined,
      uploaded: undefined,
      requiresPython: specifier(attributes.get('data-requires-python')),
      yanked: yanked === undefined ? undefined : reason(yanked),
      metadata: core === 'true' ? true : core === undefined ? undefined : coreMetadata(hashesIn(core)),
      provenance: linkFrom(base, attributes.get('data-provenance')),
    },
  ]
}

function checkCount({ length }: readonly unknown[]): void {
  if (length > MAX_LINKS) throw new RegistryError('upstream', `The upstream's page has more than ${MAX_LINKS} links`)
}

/** Of another major version nothing can be known (PEP 629). */
function checkApi(version: unknown): void {
  if (version !== undefined && !/^1(?:\.|$)/.test(String(version)))
    throw new RegistryError('upstream', 'The upstream speaks another version of the simple index')
}

const HEX_LENGTH = { sha256: 64, sha512: 128, sha1: 40, md5: 32 }

function promisedBy(hashes: unknown): Promised {
  const promised: Promised = {}
  if (!isObject(hashes)) return promised
  for (const name of ['sha256', 'sha512', 'sha1', 'md5'] as const) {
    const hex = hashes[name]
    if (typeof hex === 'string' && hex.length === HEX_LENGTH[name] && /^[0-9a-f]+$/i.test(hex))
      promised[name] = hex.toLowerCase()
  }
  return promised
}

/** 'sha256=…', as fragments and attributes have it. */
function hashesIn(text = ''): JsonObject {
  return Object.fromEntries(
    text.split('&').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]),
  )
}

function coreMetadata(said: unknown): string | true | undefined {
  if (said === true) return true
  return isObject(said) && Object.keys(said).length > 0 ? (promisedBy(said).sha256 ?? true) : undefined
}

function specifier(value: unknown): string | undefined {
  return typeof value === 'string' && isSpecifier(value) ? value : undefined
}

const MAX_REASON = 2000

function reason(text: string): string {
  return text.slice(0, MAX_REASON)
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
