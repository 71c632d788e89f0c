#!/usr/bin/env node
// What `npm start` and `npm test` run: needs nothing but Node. Installs from the lock file when that changed, builds when a source
// changed, then becomes the program `cairn` with the arguments that it was given; `test` runs the tests under coverage.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const SOURCES = ['protocol', 'primary', 'node', 'formats', 'admin', 'deploy', 'bench', 'test']
const LEAST_LINES_PERCENT = 80
const TEST_TIMEOUT_MS = 900_000
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 20 || (major === 20 && minor < 15))
  fail(`Cairn needs Node.js 20.15 or later; this is ${process.versions.node}.`)
install()
build()
if (process.argv[2] === 'test') test(process.argv.slice(3))
else await become(process.argv.slice(2))

function install() {
  const stamp = join(root, 'node_modules', '.cairn-lock')
  const lock = `${hash(readFileSync(join(root, 'package-lock.json')))} ${process.versions.modules} ${process.platform}-${process.arch}`
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  process.stderr.write('Installing dependencies from the lock file …\n')
  const npm = process.env.npm_execpath
  const [command, args] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []]
  const { status } = spawnSync(command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) fail('The dependencies could not be installed; npm says why above.')
  writeFileSync(stamp, lock)
}

function build() {
  const stamp = join(root, 'dist', '.cairn-sources')
  const now = sources()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return
  process.stderr.write('Building …\n')
  // Beside, then renamed: a part that runs from the old build must not find half of a new one.
  // At the same depth, since source maps name their sources relatively.
  const fresh = join(root, `.dist-${process.pid}`)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const options = { cwd: root, stdio: ['ignore', 2, 2] }
  const { status } = spawnSync(process.execPath, [tsc, '-p', root, '--outDir', fresh], options)
  if (status === 0) {
    writeFileSync(join(fresh, '.cairn-sources'), now)
    replace(fresh, join(root, 'dist'))
  }
  rmSync(fresh, { recursive: true, force: true })
  if (status !== 0) fail('The build failed; the compiler says why above.')
}

/** Somebody else's build, finished in the same moment, is as good. */
function replace(from, to) {
  try {
    rmSync(to, { recursive: true, force: true })
    renameSync(from, to)
  } catch (error) {
    if (!existsSync(join(to, '.cairn-sources'))) throw error
  }
}

/** Names, sizes and times of all sources: reading a few hundred entries takes milliseconds. */
function sources() {
  const lines = [statLine(join(root, 'tsconfig.json'))]
  for (const folder of SOURCES) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true, recursive: true }))
      if (entry.isFile() && entry.name.endsWith('.ts'))
        lines.push(statLine(join(entry.parentPath ?? entry.path, entry.name)))
  }
  return hash(lines.sort().join('\n'))
}

function statLine(path) {
  const { size, mtimeMs } = statSync(path)
  return `${path} ${size} ${mtimeMs}`
}

/** In this process: whatever signal is sent to it, from a terminal or not, reaches the program once. */
async function become(args) {
  const program = join(root, 'dist', 'deploy', 'cairn.js')
  process.argv = [process.execPath, program, ...args]
  await import(pathToFileURL(program).href)
}

/** All test files, or those whose path holds one of the words. */
function test(words) {
  const folder = join(root, 'dist', 'test')
  const files = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.test.js') && (words.length === 0 || words.some((word) => name.includes(word))))
    .sort()
    .map((name) => join('dist', 'test', name))
  if (files.length === 0) fail('No test file has such a name.')
  const runner = [
    '--test',
    '--test-concurrency=2',
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    '--test-reporter=spec',
    ...files,
  ]
  const whole = words.length === 0
  const heard = join(root, 'coverage', 'heard')
  if (whole) {
    rmSync(heard, { recursive: true, force: true })
    mkdirSync(heard, { recursive: true })
  }
  const env = { ...process.env, NODE_ENV: 'test', ...(whole ? { CAIRN_TEST_HEARD: heard } : {}) }
  const run = (args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env }).status ?? 1
  const status = run([...(whole ? coverage() : []), ...runner])
  const leaks = whole ? run([join('dist', 'test', 'support', 'leaks.js'), heard]) : 0
  process.exit(status || leaks)
}

/** c8 around the runner, and so around every process that a test starts. A choice of files says nothing about coverage. */
function coverage() {
  const counted = ['protocol', 'formats', 'primary', 'node', 'admin', 'deploy'].map(
    (name) => `--include=dist/${name}/**`,
  )
  const limits = [
    '--check-coverage',
    `--lines=${LEAST_LINES_PERCENT}`,
    '--branches=0',
    '--functions=0',
    '--statements=0',
  ]
  const output = [
    '--reporter=text-summary',
    '--reporter=lcovonly',
    '--reports-dir=coverage',
    '--temp-directory=coverage/tmp',
  ]
  return [join('node_modules', 'c8', 'bin', 'c8.js'), '--all', ...counted, ...limits, ...output, process.execPath]
}

function hash(data) {
  return createHash('sha256').update(data).digest('hex')
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}
