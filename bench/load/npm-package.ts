/** Makes the bodies that `npm publish` sends: a real tarball with its package.json, and the document around it. */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { tgz } from './tar.js'

const POOL_BYTES = 4 * 1024 * 1024
const WORDS =
  'const function return export import await async if else for of new this class extends throw undefined true false null map filter reduce path value index result options request response error stream buffer length name version'.split(
    ' ',
  )

export class PackageMaker {
  readonly #pool: Buffer
  readonly #sourceBytes: number

  /** `tarballBytes`: about, after compression. */
  constructor(tarballBytes: number) {
    this.#pool = sourceText(Math.max(POOL_BYTES, tarballBytes))
    const sample = this.#pool.subarray(0, 256 * 1024)
    this.#sourceBytes = Math.round((tarballBytes * sample.length) / tgz([{ path: 'sample', content: sample }]).length)
  }

  publish(name: string, version: string): Buffer {
    const about = aboutPackage(name, version)
    const start = randomInt(Math.max(1, this.#pool.length - this.#sourceBytes))
    return document(about, tarball(about, this.#pool.subarray(start, start + this.#sourceBytes)))
  }
}

/** The same with a tarball of exactly so many bytes of content that cannot be compressed. */
export function publishOfRandomBytes(name: string, version: string, contentBytes: number): Buffer {
  const about = aboutPackage(name, version)
  return document(about, tarball(about, randomBytes(contentBytes)))
}

type About = ReturnType<typeof aboutPackage>

function tarball(about: About, source: Buffer): Buffer {
  return tgz([
    { path: 'package/package.json', content: Buffer.from(JSON.stringify(about, undefined, 2)) },
    { path: 'package/index.js', content: source },
  ])
}

/** As long as package.json files usually are. */
function aboutPackage(name: string, version: string) {
  const home = `https://git.example.com/tools/${name}`
  return {
    name,
    version,
    description: 'Reads, checks and rewrites configuration files, with types for editors and a command for scripts',
    keywords: ['configuration', 'schema', 'validation', 'command-line', 'types'],
    homepage: `${home}#readme`,
    bugs: { url: `${home}/issues` },
    repository: { type: 'git', url: `git+${home}.git` },
    license: 'MIT',
    author: { name: 'A Developer', email: 'developer@example.com' },
    main: 'index.js',
    types: 'index.d.ts',
    engines: { node: '>=18' },
    scripts: { build: 'tsc -p .', test: 'node --test', lint: 'eslint .', prepare: 'npm run build' },
    dependencies: {
      'supports-color': '^9.4.0',
      semver: '^7.6.0',
      yaml: '^2.5.0',
      'fast-glob': '~3.3.2',
      commander: '>=11 <13',
    },
    devDependencies: { typescript: '^5.6.0', eslint: '^9.10.0', '@types/node': '^20.16.0', '@types/semver': '^7.5.8' },
  }
}

function document(about: About, bytes: Buffer): Buffer {
  const { name, version, description } = about
  const dist = {
    integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
    shasum: createHash('sha1').update(bytes).digest('hex'),
    tarball: `http://registry.example.com/${name}/-/${name}-${version}.tgz`,
  }
  const entry = { ...about, _id: `${name}@${version}`, _nodeVersion: '20.20.0', _npmVersion: '10.8.2', dist }
  const head = {
    _id: name,
    name,
    description,
    'dist-tags': { latest: version },
    versions: { [version]: entry },
    access: null,
  }
  const attachment = { content_type: 'application/octet-stream', data: '', length: bytes.length }
  // JSON.stringify would look for escapes in every byte of the tarball.
  const [before = '', after = ''] = JSON.stringify({
    ...head,
    _attachments: { [`${name}-${version}.tgz`]: attachment },
  }).split('"data":""')
  return Buffer.concat([
    Buffer.from(`${before}"data":"`),
    Buffer.from(bytes.toString('base64'), 'latin1'),
    Buffer.from(`"${after}`),
  ])
}

/** Text that compresses about as source code does. */
function sourceText(bytes: number): Buffer {
  const lines: string[] = []
  for (let size = 0; size < bytes; ) {
    const words = Array.from({ length: 9 }, () => WORDS[randomInt(WORDS.length)])
    const line = `  ${words.join(' ')} ${randomBytes(12).toString('base64')}\n`
    lines.push(line)
    size += line.length
  }
  return Buffer.from(lines.join(''), 'latin1')
}
