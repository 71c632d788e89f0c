/** The programs that people install npm packages with, and how each of them is told the same things. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, installed, program } from './client.js'

export interface Registry {
  /** Ends with a slash. */
  url: string
  token?: string
}

export interface Installer {
  client: Client
  /** Short, and good for a package name. */
  label: string
  /** Makes the project in this folder use the registry. */
  configure(folder: string, registry: Registry): Promise<void>
  /** What it wants done in a folder before it publishes from there. */
  prepare?: string[]
  publish: string[]
  install: string[]
  /** Installs what the lock file says, and fails rather than change it. */
  frozen: string[]
  lockFile: string
  /** What it prints when bytes are not those of the lock file. */
  otherBytes: RegExp
}

const npm = {
  configure: writeNpmrc,
  publish: ['publish'],
  install: ['install', '--no-audit', '--no-fund'],
  // npm asks again for bytes that it does not like, the first time after ten seconds.
  frozen: ['ci', '--no-audit', '--no-fund', '--fetch-retries=0'],
  lockFile: 'package-lock.json',
  otherBytes: /EINTEGRITY/,
}

/** The one that came with this Node. */
export const NPM: Installer = { ...npm, client: program('npm'), label: 'npm' }
export const NPM_10: Installer = { ...npm, client: installed('npm 10', 'npm-10/bin/npm-cli.js'), label: 'npm-10' }

export const INSTALLERS: Installer[] = [
  NPM,
  NPM_10,
  {
    client: installed('pnpm', 'pnpm/bin/pnpm.cjs'),
    label: 'pnpm',
    configure: writeNpmrc,
    publish: ['publish', '--no-git-checks'],
    install: ['install', '--no-frozen-lockfile'],
    frozen: ['install', '--frozen-lockfile', '--fetch-retries=0'],
    lockFile: 'pnpm-lock.yaml',
    otherBytes: /ERR_PNPM_TARBALL_INTEGRITY/,
  },
  {
    client: installed('Yarn 1', 'yarn/bin/yarn.js'),
    label: 'yarn-classic',
    configure: async (folder, registry) => {
      await writeNpmrc(folder, registry)
      await writeFile(join(folder, '.yarnrc'), `registry "${registry.url}"\n`)
    },
    publish: ['publish', '--non-interactive'],
    install: ['install', '--non-interactive'],
    frozen: ['install', '--non-interactive', '--frozen-lockfile'],
    lockFile: 'yarn.lock',
    otherBytes: /[Ii]ntegrity check failed/,
  },
  {
    client: installed('Yarn 4', '@yarnpkg/cli-dist/bin/yarn.js'),
    label: 'yarn-berry',
    configure: writeYarnrc,
    prepare: ['install', '--no-immutable'],
    publish: ['npm', 'publish'],
    install: ['install', '--no-immutable'],
    frozen: ['install', '--immutable', '--check-cache'],
    lockFile: 'yarn.lock',
    otherBytes: /YN0018/,
  },
  {
    client: installed('Bun', '@oven/bun-linux-x64/bin/bun'),
    label: 'bun',
    configure: writeNpmrc,
    publish: ['publish'],
    install: ['install'],
    frozen: ['install', '--frozen-lockfile'],
    lockFile: 'bun.lock',
    otherBytes: /[Ii]ntegrity/,
  },
]

export async function writeNpmrc(folder: string, { url, token }: Registry): Promise<void> {
  const lines = [`registry=${url}`]
  if (token !== undefined) lines.push(`${url.replace(/^https?:/, '')}:_authToken=${token}`)
  await writeFile(join(folder, '.npmrc'), `${lines.join('\n')}\n`)
}

async function writeYarnrc(folder: string, { url, token }: Registry): Promise<void> {
  const lines = [
    `npmRegistryServer: "${url}"`,
    'unsafeHttpWhitelist: ["127.0.0.1"]',
    'nodeLinker: node-modules',
    'enableTelemetry: false',
    // Packages of this very minute are what the tests are about.
    'npmMinimalAgeGate: 0',
  ]
  if (token !== undefined) lines.push(`npmAuthToken: "${token}"`)
  await writeFile(join(folder, '.yarnrc.yml'), `${lines.join('\n')}\n`)
}
