/**
 * `cairn run -- npm ci`: a node in this process for as long as the command runs, and the command's clients pointed at it by their
 * environment. The node joins with a join key, finds peers on the local network, and goes without a trace.
 */
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { formats } from '../../formats/index.js'
import { RegistryError } from '../../protocol/errors.js'
import { Client } from '../client.js'
import { nodeSettings } from '../config/parts.js'
import { credentialFor } from '../credentials.js'
import { inPassing } from '../ephemeral.js'
import { settingsFor, type Terminal } from '../terminal.js'
import { programVersion } from '../version.js'
import { several } from './options.js'

interface Found {
  key: string
  format: string
  type: string
}

const READY_MS = 60_000
const POLL_MS = 50
/** What shells say of a command that was not found. */
const NOT_FOUND = 127
const PREFERRED = ['virtual', 'remote', 'local']

export function runCommand(terminal: Terminal, exit: (code: number) => void): Command {
  return new Command('run')
    .description('run a command with a node beside it, and its package clients pointed at that')
    .usage('[options] -- <command> [arguments...]')
    .argument('<command...>')
    .option('--join <key>', 'join key, made by `cairn node create --ephemeral` (CAIRN_JOIN)')
    .option('--repository <key>', 'repository for the clients of its format; several; else a virtual one', several)
    .passThroughOptions()
    .action(async (command: string[], flags: { join?: string; repository?: string[] }) => {
      exit(await inPassing((folder) => runBeside(command, flags, folder, terminal)))
    })
}

async function runBeside(
  command: string[],
  { join: key, repository = [] }: { join?: string; repository?: string[] },
  folder: string,
  terminal: Terminal,
): Promise<number> {
  const options = { join: key, data: folder, host: '127.0.0.1', port: '0', logLevel: 'silent', mdns: 'yes' }
  const { values } = await settingsFor('node', options, terminal)
  const client = await settingsFor('client', {}, terminal)
  const home = client.values.url[0] ?? ''
  const token = client.values.token ?? (await credentialFor(home, terminal))?.token
  const { startNode } = await import('../../node/main.js')
  const node = await startNode(nodeSettings(values), { version: programVersion() })
  try {
    await ready(node.url)
    const found = await visible(new Client({ url: node.url, token }))
    const variables = await pointed(chosen(found, repository), { url: node.url, token, folder })
    return await finished(command, { ...terminal.environment, CAIRN_URL: node.url, ...variables })
  } finally {
    await node.close()
  }
}

async function ready(url: string): Promise<void> {
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    if ((await fetch(`${url}/ready`)).ok) return
    await delay(POLL_MS)
  }
  throw new RegistryError('unavailable', 'The node heard nothing of its fleet; can the primary or a peer be reached?')
}

async function visible(client: Client): Promise<Found[]> {
  const all = await client.all('/api/v1/repositories?limit=1000')
  return all.map(({ key, format, repo_type: type }) => ({
    key: String(key),
    format: String(format),
    type: String(type),
  }))
}

/** One repository for each format: the one that was named, else the most complete kind. Throws `missing`. */
function chosen(found: readonly Found[], named: readonly string[]): Found[] {
  const wanted = named.map((key) => {
    const repository = found.find((one) => one.key === key)
    if (!repository) throw new RegistryError('missing', `There is no repository ${key} that you may see`)
    return repository
  })
  return formats.flatMap(({ name }) => {
    const own = wanted.find(({ format }) => format === name)
    const others = found
      .filter(({ format }) => format === name)
      .sort((a, b) => PREFERRED.indexOf(a.type) - PREFERRED.indexOf(b.type))
    return own ?? others[0] ?? []
  })
}

async function pointed(
  repositories: readonly Found[],
  { url, token, folder }: { url: string; token: string | undefined; folder: string },
): Promise<Record<string, string>> {
  const all: Record<string, string> = {}
  for (const { key, format } of repositories) {
    const own = join(folder, 'clients', key)
    const base = `${url}/repository/${key}`
    const made = formats.find(({ name }) => name === format)?.environment?.({ base, key, token, folder: own })
    Object.assign(all, made?.variables)
    for (const [name, text] of Object.entries(made?.files ?? {})) {
      const path = join(own, name)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, text, { mode: 0o600 })
    }
  }
  return all
}

/** Its exit code, as a shell would tell it. Signals reach it by the terminal; this process waits for it. */
function finished([file = '', ...args]: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: 'inherit', env })
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal)
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
    for (const signal of signals) process.on(signal, pass)
    const end = (code: number): void => {
      for (const signal of signals) process.off(signal, pass)
      resolve(code)
    }
    child.once('error', (error) => {
      process.stderr.write(`cairn: ${error.message}\n`)
      end(NOT_FOUND)
    })
    child.once('exit', (code, signal) => end(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
}
