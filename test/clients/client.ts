/**
 * Real clients of other people, run as a newcomer's machine would: in a home of their own, with none of this machine's settings,
 * within a deadline. One that is missing skips its tests by name; with CI=true its tests fail, so that none goes untested unseen.
 */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { packageRoot } from '../../deploy/root.js'

export interface Client {
  name: string
  /** The command line that starts it; undefined when it is not installed. */
  command: [string, ...string[]] | undefined
}

export interface RunOptions {
  cwd: string
  home: string
  /** Besides what each program gets. */
  variables?: Record<string, string>
  /** What to type when these words appear, in this order. */
  answers?: [prompt: string, answer: string][]
  deadlineMs?: number
}

export interface Ran {
  code: number | null
  stdout: string
  /** Both streams, as they came. */
  output: string
}

const INSTALLED = join(packageRoot(), '.build', 'clients', 'node_modules')
const BUILT = join(packageRoot(), '.build', 'clients', 'bin')
const DEADLINE_MS = 60_000
const LARGEST_OUTPUT = 8 * 1024 * 1024

/** A program on PATH. */
export function program(name: string): Client {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const path = folders.map((folder) => join(folder, name)).find(runs)
  return { name, command: path === undefined ? undefined : [path] }
}

/** One that `.ci/run` installs, by its file below `.build/clients/node_modules`; a script runs on this Node. */
export function installed(name: string, file: string): Client {
  const path = join(INSTALLED, file)
  if (!readable(path)) return { name, command: undefined }
  return { name, command: /\.[cm]?js$/.test(file) ? [process.execPath, path] : [path] }
}

/** One that `.ci/run` installs into a Python environment of its own. */
export function ofPython(name: string): Client {
  const path = join(packageRoot(), '.build', 'clients-python', 'bin', name)
  return { name, command: runs(path) ? [path] : undefined }
}

/** One that `.ci/run` builds into `.build/clients/bin`, or a program on PATH. */
export function built(name: string): Client {
  const path = join(BUILT, name)
  return runs(path) ? { name, command: [path] } : program(name)
}

/** For the options of a test: the reason to skip it. */
export function missing({ name, command }: Client): { skip: string | false } {
  return {
    skip: command === undefined && process.env.CI !== 'true' ? `${name} is not installed; .ci/run installs it` : false,
  }
}

/** A home that no client has seen: no settings, no caches. */
export async function newHome(below: string): Promise<string> {
  const home = await mkdtemp(join(below, 'home-'))
  await mkdir(join(home, 'tmp'))
  return home
}

/** Its output; throws with it when it fails. */
export async function succeeds(client: Client, args: string[], options: RunOptions): Promise<string> {
  const { code, output, stdout } = await run(client, args, options)
  if (code !== 0) throw new Error(`${client.name} ${args.join(' ')} ended with ${code}:\n${output}`)
  return stdout
}

/** What it says when it fails; throws when it does not, or does not come to an end. */
export async function fails(client: Client, args: string[], options: RunOptions): Promise<string> {
  const { code, output } = await run(client, args, options)
  if (code === 0 || code === null) throw new Error(`${client.name} ${args.join(' ')} did not fail:\n${output}`)
  return output
}

export async function run({ name, command }: Client, args: string[], options: RunOptions): Promise<Ran> {
  if (!command) throw new Error(`${name} is not installed; .ci/run installs it`)
  const [file, ...first] = command
  const { cwd, home, variables, answers = [], deadlineMs = DEADLINE_MS } = options
  // A group of its own, so that the deadline ends its children too.
  const child = spawn(file, [...first, ...args], { cwd, env: { ...environment(home), ...variables }, detached: true })
  const ran = { stdout: '', output: '' }
  const left = [...answers]
  let seen = 0
  const hear = (text: string): void => {
    ran.output += text
    if (ran.output.length > LARGEST_OUTPUT) end()
    const next = left[0]
    const at = next ? ran.output.indexOf(next[0], seen) : -1
    if (!next || at < 0) return
    seen = at + next[0].length
    left.shift()
    child.stdin.write(`${next[1]}\n`)
  }
  const end = (): void =>
    void (child.pid !== undefined && child.exitCode === null && process.kill(-child.pid, 'SIGKILL'))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ran.stdout += text
    hear(text)
  })
  child.stderr.setEncoding('utf8').on('data', hear)
  child.stdin.on('error', () => undefined)
  if (answers.length === 0) child.stdin.end()
  const timer = setTimeout(() => {
    ran.output += `\n(ended after ${deadlineMs} ms)`
    end()
  }, deadlineMs)
  try {
    const code = await new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject))
    return { code, ...ran }
  } finally {
    clearTimeout(timer)
  }
}

/** Nothing of this process's environment but where programs are: no tokens, proxies, registries, CI switches, coverage. */
function environment(home: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: home,
    TMPDIR: join(home, 'tmp'),
    // Where the compilers are, on machines where cargo on PATH only chooses between several.
    RUSTUP_HOME: process.env.RUSTUP_HOME ?? join(homedir(), '.rustup'),
    LANG: 'C.UTF-8',
    NO_COLOR: '1',
    // npm has settings beside its own installation as well.
    npm_config_globalconfig: join(home, 'no-settings'),
    npm_config_update_notifier: 'false',
    // As root, Yarn 1 takes a system folder for its home.
    YARN_CACHE_FOLDER: join(home, 'yarn-cache'),
  }
}

function runs(path: string): boolean {
  return allowed(path, constants.X_OK)
}

function readable(path: string): boolean {
  return allowed(path, constants.R_OK)
}

function allowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
