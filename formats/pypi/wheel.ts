/** Reads the core metadata out of a stored zip (a wheel, or an old source archive) which is looked through once. */
import { RegistryError } from '../../protocol/errors.js'
import type { Bytes } from '../../protocol/ports.js'
import { readDirectory, type ZipLimits } from '../archive/zip.js'
import { checkHeaders, readEntry } from '../archive/zip-content.js'
import type { Distribution } from './filename.js'
import { METADATA_LIMIT } from './metadata.js'
import { normalName } from './name.js'
import { isPackageInfo } from './sdist.js'
import { normalVersion } from './version.js'

/** Only one entry is unpacked, so what the others say of themselves does not matter. */
const LIMITS: ZipLimits = {
  directory: 32 * 1024 * 1024,
  entries: 200_000,
  name: 4096,
  bytes: 1024 ** 4,
  ratio: 1000,
  ratioFrom: 1024 ** 4,
}

/** Throws `invalid`. */
export async function readZipMetadata(bytes: Bytes, distribution: Distribution, signal: AbortSignal): Promise<Buffer> {
  const entries = await readDirectory(bytes, LIMITS, signal)
  const isWheel = distribution.kind === 'bdist_wheel'
  const found = entries.filter(({ name }) => (isWheel ? isMetadata(name) : isPackageInfo(name)))
  const [entry, ...others] = found
  if (!entry || others.length > 0)
    throw invalid(
      `has ${entry ? 'more than one' : 'no'} ${isWheel ? '*.dist-info/METADATA' : 'PKG-INFO in its top folder'}`,
    )
  if (isWheel) checkFolder(entry.name, distribution)
  // Some installers unpack by these and never see the directory.
  await checkHeaders(bytes, entries, signal)
  return readEntry(bytes, entry, METADATA_LIMIT, signal)
}

/** In any case of letters: on some systems they are one file. */
function isMetadata(path: string): boolean {
  return /^[^/]+\.dist-info\/METADATA$/i.test(path)
}

/** {distribution}-{version}.dist-info/METADATA: installers look there and nowhere else. */
function checkFolder(path: string, { name, version }: Distribution): void {
  const stem = path.slice(0, path.lastIndexOf('.dist-info/'))
  const dash = stem.indexOf('-')
  if (normalName(stem.slice(0, dash)) !== name || normalVersion(stem.slice(dash + 1)) !== version)
    throw invalid(`has the metadata of something else: ${JSON.stringify(path.slice(0, 200))}`)
}

function invalid(how: string): RegistryError {
  return new RegistryError('invalid', `The archive ${how}`, { code: 'invalid_archive' })
}
