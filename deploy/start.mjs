#!/usr/bin/env node
// What `npm start` and `npm test` run: needs nothing but Node. Installs from the lock file when that changed, builds when a source
// changed, then hands over to the program.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const SOURCES = ['protocol', 'primary', 'node', 'formats', 'admin', 'deploy', 'bench', 'test']
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 20 || (major === 20 && minor < 15))
  fail(`Cairn needs Node.js 20.15 or later; this is ${process.versions.node}.`)
install()
build()
run(process.argv.slice(2))

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
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) fail('The build failed; the compiler says why above.')
  mkdirSync(join(root, 'dist'), { recursive: true })
  writeFileSync(stamp, now)
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

function run(args) {
  const child = spawn(process.execPath, [join(root, 'dist', 'deploy', 'cairn.js'), ...args], { stdio: 'inherit' })
  // The terminal sends its signals to the child as well; what is sent to this process alone is passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY ? undefined : child.kill(signal)))
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
}

function hash(data) {
  return createHash('sha256').update(data).digest('hex')
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}
