/**
 * A module's zip file by the rules of golang.org/x/mod/zip, and its checksum as go.sum has it. Unlike that package it unpacks
 * everything, so that a version that the go command could not unpack is never published.
 */
import { createHash, type Hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'
import type { Bytes } from '../../protocol/ports.js'
import { readDirectory, type ZipEntry } from '../archive/zip.js'
import { readEntries, type ZipVisitor } from '../archive/zip-content.js'
import { Collisions } from './collisions.js'
import { faultOfFile } from './path.js'

/** Bytes: of the archive, and of what is in it. */
export const MODULE_LIMIT = 500 * 1024 * 1024

export interface Inspected {
  /** undefined: the module has none. */
  goMod: Buffer | undefined
  /** 'h1:…', dirhash.Hash1 of the zip file. */
  sum: string
}

/** `prefix`: 'module@version/', which every name begins with. Throws `invalid`. */
export async function inspect(bytes: Bytes, prefix: string, signal: AbortSignal): Promise<Inspected> {
  const entries = await readDirectory(bytes, LIMITS, signal)
  await checkNames(entries, prefix)
  const reading = new Reading(`${prefix}go.mod`)
  await readEntries(bytes, entries, reading, signal)
  return { goMod: reading.goMod, sum: hash1(reading.sums) }
}

/** 'h1:…' of a go.mod file alone, as go.sum has it under 'version/go.mod'. */
export function goModSum(goMod: Uint8Array): string {
  return hash1([{ name: 'go.mod', sum: createHash('sha256').update(goMod).digest('hex') }])
}

/** A ratio beyond 100 is legal for the go command; no module is like that, and a bomb costs seconds. */
const LIMITS = {
  directory: 32 * 1024 * 1024,
  entries: 200_000,
  name: 4096,
  bytes: MODULE_LIMIT,
  ratio: 100,
  ratioFrom: 64 * 1024 * 1024,
}
/** Entries that are looked at before the others on this process get a turn. */
const TURN = 1000
const DOCUMENT_LIMIT = 16 * 1024 * 1024

async function checkNames(entries: readonly ZipEntry[], prefix: string): Promise<void> {
  const collisions = new Collisions()
  for (const [i, { name, isFolder, size }] of entries.entries()) {
    if (i % TURN === TURN - 1) await setImmediate()
    if (!name.startsWith(prefix)) throw invalid(`has an entry that is not below ${prefix}: ${shown(name)}`)
    const path = name.slice(prefix.length, isFolder ? -1 : undefined)
    if (path === '') continue
    const fault = faultOfFile(path)
    if (fault !== undefined) throw invalid(`has a file whose path ${fault}: ${shown(path)}`)
    const collision = collisions.fault(path, isFolder)
    if (collision !== undefined) throw invalid(collision)
    if (!isFolder) checkDocument(path, size)
  }
}

function checkDocument(path: string, size: number): void {
  if (/(?:^|\/)go\.mod$/i.test(path) && path !== 'go.mod')
    throw invalid(`has a go.mod that is not in its top folder, or not in lower case: ${shown(path)}`)
  if ((path === 'go.mod' || path === 'LICENSE') && size > DOCUMENT_LIMIT)
    throw invalid(`has a ${path} of more than ${DOCUMENT_LIMIT} bytes`)
}

class Reading implements ZipVisitor {
  readonly sums: { name: string; sum: string }[] = []
  readonly #goModName: string
  #hash: Hash = createHash('sha256')
  #goMod: Buffer[] | undefined
  #isGoMod = false

  constructor(goModName: string) {
    this.#goModName = goModName
  }

  begin({ name }: ZipEntry): void {
    this.#hash = createHash('sha256')
    this.#isGoMod = name === this.#goModName
    if (this.#isGoMod) this.#goMod = []
  }

  content(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    if (this.#isGoMod) this.#goMod?.push(Buffer.from(bytes))
  }

  end({ name }: ZipEntry): void {
    this.sums.push({ name, sum: this.#hash.digest('hex') })
  }

  get goMod(): Buffer | undefined {
    return this.#goMod && Buffer.concat(this.#goMod)
  }
}

/** golang.org/x/mod/sumdb/dirhash: the hash of the lines that sha256sum would write, in byte order of the names. */
function hash1(sums: { name: string; sum: string }[]): string {
  const lines = sums
    .map(({ name, sum }) => ({ order: Buffer.from(name).toString('latin1'), line: `${sum}  ${name}\n` }))
    .sort((a, b) => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0))
  const hash = createHash('sha256')
  for (const { line } of lines) hash.update(line)
  return `h1:${hash.digest('base64')}`
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 200))
}

function invalid(how: string): RegistryError {
  return new RegistryError('invalid', `The archive ${how}`, { code: 'invalid_module' })
}
