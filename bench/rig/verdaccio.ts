/**
 * Verdaccio from npm, installed once into .build/rivals, with its own storage on disk: no upstreams, no web interface, fatal log
 * lines only, and anybody may publish, so that it has no credentials to check.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packageRoot } from '../../deploy/root.js'
import type { Child } from './child.js'
import { freePort } from './ports.js'
import type { Rig } from './rig.js'
import { serve } from './served.js'

export interface Verdaccio {
  url: string
  version: string
  process: Child
}

const INSTALL_MS = 180_000

/** `missing` says why there is none. */
export async function startVerdaccio(
  rig: Rig,
  say: (sentence: string) => void,
): Promise<Verdaccio | { missing: string }> {
  const version = newestFor(Number(process.versions.node.split('.')[0]))
  const home = join(packageRoot(), '.build', 'rivals', `verdaccio-${version}`)
  const program = join(home, 'node_modules', 'verdaccio', 'bin', 'verdaccio')
  const installed = join(home, 'installed')
  if (!existsSync(installed)) {
    say(`installing Verdaccio ${version} once`)
    const failure = await install(home, version)
    if (failure !== undefined) return { missing: `Verdaccio could not be installed: ${failure}` }
    await writeFile(installed, '')
  }
  const dir = await rig.directory()
  const config = join(dir, 'config.yaml')
  await writeFile(config, configuration(dir))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const args = [program, '--config', config, '--listen', `127.0.0.1:${port}`]
  return {
    url,
    version,
    process: await serve(rig, { command: process.execPath, args, ready: `${url}/-/ping`, deadlineMs: 30_000 }),
  }
}

/** The newest release whose engines accept the running Node. */
function newestFor(nodeMajor: number): string {
  return nodeMajor >= 22 ? '6.10.4' : '6.8.0'
}

/** Its last line when it fails. */
async function install(home: string, version: string): Promise<string | undefined> {
  await rm(home, { recursive: true, force: true })
  await mkdir(home, { recursive: true })
  // A dependency of a dependency names a dist-tag, which mirrors may not carry.
  const manifest = { private: true, dependencies: { verdaccio: version }, overrides: { 'node-fetch': '2.7.0' } }
  await writeFile(join(home, 'package.json'), JSON.stringify(manifest))
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel', 'error']
  const child = spawn('npm', args, { cwd: home, stdio: ['ignore', 'ignore', 'pipe'], timeout: INSTALL_MS })
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString('utf8')).slice(-2000)
  })
  const code = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (status, signal) => resolve(status ?? signal ?? 'unknown'))
  })
  return code === 0 ? undefined : (words.trim().split('\n')[0] ?? '') || String(code)
}

function configuration(dir: string): string {
  return `storage: ${dir}/storage
auth:
  htpasswd: { file: ${dir}/htpasswd }
uplinks: {}
packages:
  '**': { access: $all, publish: $all, unpublish: $all }
max_body_size: 1000mb
publish: { allow_offline: true }
server: { keepAliveTimeout: 60 }
web: { enable: false }
log: { type: stdout, format: json, level: fatal }
`
}
