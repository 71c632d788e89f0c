/**
 * The Sigstore bundle that `npm publish --provenance` sends along: kept as a file of the version, and given out by
 * GET /-/npm/v1/attestations/{pkg}@{version}. Whether its signature is valid is for the client to check, against its own roots;
 * here it must only speak of this very tarball.
 */
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Held, Stored } from '../../protocol/records.js'
import { isObject, parseJson } from '../text/json.js'
import { noPackage } from './known.js'
import { bundlePath } from './name.js'

export interface Provenance {
  /** The bundle as it was sent. */
  bundle: string
  predicateType: string
}

const MAX_BUNDLE = 4 * 1024 * 1024

/** Throws `invalid`. */
export function parseBundle(bundle: unknown, name: string, version: string, tarball: Stored): Provenance {
  if (typeof bundle !== 'string') throw invalid('is not a text')
  const { subject, predicateType } = statementOf(bundle)
  if (typeof predicateType !== 'string') throw invalid('has no predicate type')
  const subjects = Array.isArray(subject) ? subject.filter(isObject) : []
  const speaksOfIt = subjects.some(
    (one) => isObject(one.digest) && one.digest.sha512 === tarball.hashes.sha512 && isPurl(one.name, name, version),
  )
  if (!speaksOfIt) throw invalid(`is not about the tarball of ${name}@${version}`)
  return { bundle, predicateType }
}

/** Path of the reply inside the repository. */
export function attestationsPath(name: string, version: string): string {
  return `-/npm/v1/attestations/${name}@${version}`
}

/** 'name@version', of which the name may begin with '@'. */
export function parseSpec(spec: string): { name: string; version: string } {
  const at = spec.lastIndexOf('@')
  return at > 0 ? { name: spec.slice(0, at), version: spec.slice(at + 1) } : { name: spec, version: '' }
}

export async function readAttestations({ params, repository, request }: Call<{ spec: string }>): Promise<Reply> {
  const { name, version } = parseSpec(params.spec)
  if (version === '') throw invalid('is asked for as {package}@{version}')
  const file = await repository.file(bundlePath(name, version))
  if (!file)
    throw (await repository.version(name, version)) ? noAttestations(name, version) : noPackage(`${name}@${version}`)
  const bundle = await readText(await repository.open(file), file, request.signal)
  const { predicateType } = statementOf(bundle)
  return json({ attestations: [{ predicateType, bundle: parseJson(bundle, 'The bundle') }] }, 200, {
    etag: `"${file.digest}"`,
    'cache-control': 'no-cache',
  })
}

/** The in-toto statement inside a DSSE envelope. */
function statementOf(bundle: string): { subject?: unknown; predicateType?: unknown } {
  const parsed = parseJson(bundle, 'The Sigstore bundle')
  const envelope = isObject(parsed) ? parsed.dsseEnvelope : undefined
  if (!isObject(envelope) || typeof envelope.payload !== 'string') throw invalid('holds no DSSE envelope')
  const statement = parseJson(Buffer.from(envelope.payload, 'base64'), 'The statement of the Sigstore bundle')
  return isObject(statement) ? statement : {}
}

/** 'pkg:npm/%40scope/name@1.0.0' */
function isPurl(purl: unknown, name: string, version: string): boolean {
  return purl === `pkg:npm/${name.replace(/^@/, '%40')}@${version}` || purl === `pkg:npm/${name}@${version}`
}

async function readText(
  bytes: { read: (range?: undefined, signal?: AbortSignal) => AsyncIterable<Uint8Array> },
  file: Held,
  signal: AbortSignal,
): Promise<string> {
  if (file.size > MAX_BUNDLE) throw invalid('is too large')
  return (await collect(bytes.read(undefined, signal), file.size)).toString('utf8')
}

function noAttestations(name: string, version: string): RegistryError {
  return new RegistryError('missing', `${name}@${version} was published without attestations`, {
    code: 'attestations_missing',
  })
}

function invalid(how: string): RegistryError {
  return new RegistryError('invalid', `The Sigstore bundle ${how}`, { code: 'invalid_bundle' })
}
