/**
 * What was attested of a distribution (PEP 740): sent with the upload, kept beside the file as the document that is given out.
 * Whether the signatures are valid is for clients to check; here each statement must only be about this very file.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { Stored } from '../../protocol/records.js'
import { isObject, parseJson } from '../text/json.js'
import { filePath, normalName, provenancePath } from './name.js'
import { normalVersion } from './version.js'

const MOST = 10

/** The provenance document, from the form's JSON text. Throws `invalid`. */
export function parseAttestations(text: string, file: string, stored: Stored, uploader: string): Buffer {
  const attestations = parseJson(text, 'The field "attestations"')
  if (!Array.isArray(attestations) || attestations.length === 0 || attestations.length > MOST)
    throw invalid(`are a list of one to ${MOST}`)
  for (const attestation of attestations) checkAttestation(attestation, file, stored)
  const publisher = { kind: 'Cairn', claims: { uploader } }
  return Buffer.from(JSON.stringify({ version: 1, attestation_bundles: [{ publisher, attestations }] }))
}

type Asked = Call<{ name: string; version: string; file: string }>

/** GET /integrity/{project}/{version}/{file}/provenance */
export async function readProvenance(call: Asked): Promise<Reply> {
  const { name, version, file } = call.params
  const path = provenancePath(filePath(normalName(name), normalVersion(version) ?? version, file))
  const reply = await call.send(path)
  if (!reply) throw new RegistryError('missing', `There is no provenance of ${file} here`)
  return reply
}

function checkAttestation(attestation: unknown, file: string, { digest }: Stored): void {
  if (!isObject(attestation) || attestation.version !== 1) throw invalid('are of version 1')
  const { envelope, verification_material: material } = attestation
  if (!isObject(material) || !isObject(envelope)) throw invalid('hold an envelope and verification material')
  if (typeof envelope.statement !== 'string' || typeof envelope.signature !== 'string')
    throw invalid('hold a statement and a signature')
  const statement = parseJson(Buffer.from(envelope.statement, 'base64'), 'The statement of an attestation')
  const subjects = isObject(statement) && Array.isArray(statement.subject) ? statement.subject : []
  const [subject] = subjects
  const isAbout =
    subjects.length === 1 &&
    isObject(subject) &&
    isObject(subject.digest) &&
    subject.name === file &&
    subject.digest.sha256 === digest
  if (!isAbout) throw invalid(`are about ${file} and nothing else`)
}

function invalid(how: string): RegistryError {
  return new RegistryError('invalid', `Attestations ${how}`, { code: 'invalid_attestations' })
}
