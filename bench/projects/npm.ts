/** An npm project of about a thousand packages: `npm ci`, without scripts. */
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Locked, type Project, reason, runs } from './project.js'

/** What an ordinary web application of some age asks for. */
const DEPENDENCIES = { 'react-scripts': '5.0.1', typescript: '5.4.5', eslint: '8.57.0' }
const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']

export const npm: Project = { name: 'npm ci', format: 'npm', lock }

interface Lock {
  packages: Record<string, { name?: string; resolved?: string }>
}

async function lock(folder: string): Promise<Locked | { missing: string }> {
  try {
    const upstream = (await runs('npm', ['config', 'get', 'registry'], { cwd: folder })).trim()
    const manifest = { name: 'tree', version: '1.0.0', private: true, dependencies: DEPENDENCIES }
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
    const only = ['install', '--package-lock-only', '--omit-lockfile-registry-resolved=false', '--legacy-peer-deps']
    await runs('npm', [...only, ...QUIET, '--cache', join(folder, 'cache')], { cwd: folder })
    const text = await readFile(join(folder, 'package-lock.json'), 'utf8')
    const packages = Object.keys((JSON.parse(text) as Lock).packages).length - 1
    return { upstream, packages, install: (empty, url) => install(folder, text, empty, url) }
  } catch (error) {
    return reason(error)
  }
}

async function install(folder: string, text: string, empty: string, url: string | undefined): Promise<void> {
  await cp(join(folder, 'package.json'), join(empty, 'package.json'))
  await writeFile(join(empty, 'package-lock.json'), url === undefined ? text : movedTo(url, text))
  const from = url === undefined ? [] : ['--registry', `${url}/`]
  await runs('npm', ['ci', '--legacy-peer-deps', ...QUIET, ...from, '--cache', join(empty, 'cache')], { cwd: empty })
}

/** A lock file names the registry that it was made with. */
function movedTo(url: string, text: string): string {
  const lock = JSON.parse(text) as Lock
  for (const [path, entry] of Object.entries(lock.packages)) {
    const name = entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    const at = entry.resolved?.indexOf(`/${name}/-/`) ?? -1
    if (at >= 0) entry.resolved = url + entry.resolved?.slice(at)
  }
  return JSON.stringify(lock)
}
