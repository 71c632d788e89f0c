/** What the name of a distribution says (PEP 427 and 625, and the older spellings of them that installers still read). */
import { RegistryError } from '../../protocol/errors.js'
import { checkName, filePath, normalName } from './name.js'
import { normalVersion } from './version.js'

export interface Distribution {
  file: string
  kind: 'bdist_wheel' | 'sdist'
  /** Both normalised. */
  name: string
  version: string
  /** 'py3', 'cp311.cp312'; 'source' for a source archive. */
  python: string
  archive: 'zip' | 'tar'
  /** Inside the repository. */
  path: string
}

/** Throws `invalid` for anything that is neither wheel nor source archive, naming what is wrong. */
export function parseFilename(file: string): Distribution {
  if (file.length > MAX_FILE || !/^[\x21-\x7e]+$/.test(file) || /[/\\]/.test(file) || file.startsWith('.'))
    throw invalid(`${JSON.stringify(file.slice(0, 100))} is no file name`)
  if (file.endsWith('.whl')) return parseWheel(file)
  for (const ending of ['.tar.gz', '.zip'] as const) if (file.endsWith(ending)) return parseSource(file, ending)
  throw invalid(`${file} is neither a wheel (.whl) nor a source archive (.tar.gz)`)
}

const MAX_FILE = 200

/** {distribution}-{version}(-{build})?-{python}-{abi}-{platform}.whl */
function parseWheel(file: string): Distribution {
  const parts = file.slice(0, -'.whl'.length).split('-')
  const [name = '', version = '', ...rest] = parts
  const build = rest.length === 4 ? rest[0] : undefined
  const tags = rest.slice(-3)
  if (rest.length !== 3 && rest.length !== 4)
    throw invalid(`${file} does not have the five or six parts of a wheel's name`)
  if (build !== undefined && !/^\d[A-Za-z0-9_.]*$/.test(build))
    throw invalid(`The build number of ${file} begins with no digit`)
  if (!tags.every((tag) => /^[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*$/.test(tag)))
    throw invalid(`The tags of ${file} are not those of a wheel`)
  return distribution(file, 'bdist_wheel', name, version, tags[0] ?? '', 'zip')
}

function parseSource(file: string, ending: '.tar.gz' | '.zip'): Distribution {
  const stem = file.slice(0, -ending.length)
  const dash = stem.lastIndexOf('-')
  if (dash < 1) throw invalid(`${file} does not name a project and a version`)
  const archive = ending === '.zip' ? 'zip' : 'tar'
  return distribution(file, 'sdist', stem.slice(0, dash), stem.slice(dash + 1), 'source', archive)
}

function distribution(
  file: string,
  kind: Distribution['kind'],
  written: string,
  writtenVersion: string,
  python: string,
  archive: Distribution['archive'],
): Distribution {
  checkName(written)
  const name = normalName(written)
  const version = normalVersion(writtenVersion)
  if (version === undefined)
    throw invalid(`${file} is of a version that is none: ${JSON.stringify(writtenVersion.slice(0, 50))}`)
  return { file, kind, name, version, python, archive, path: filePath(name, version, file) }
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_filename' })
}
