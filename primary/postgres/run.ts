/** Runs a short program to its end, with a deadline and a limit on what is kept of its output. Never throws for its exit code. */
import { spawn } from 'node:child_process'

export interface Command {
  file: string
  args: string[]
  uid?: number
  gid?: number
}

export interface Finished {
  /** undefined: it was not started, or a signal ended it. */
  code: number | undefined
  /** The end of what it wrote, both streams. */
  output: string
}

const MAX_OUTPUT = 64 * 1024

export function run(command: Command, deadlineMs: number): Promise<Finished> {
  const { promise, resolve } = deferred<Finished>()
  let output = ''
  const keep = (text: string): void => {
    output = (output + text).slice(-MAX_OUTPUT)
  }
  // The working directory may be one that another user cannot enter.
  const child = spawn(command.file, command.args, {
    ...ids(command),
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: neutralEnvironment(),
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  child.on('error', (error) => {
    clearTimeout(timer)
    resolve({ code: undefined, output: output + error.message })
  })
  child.on('close', (code) => {
    clearTimeout(timer)
    resolve({ code: code ?? undefined, output })
  })
  return promise
}

export function ids(command: Command): { uid?: number; gid?: number } {
  return {
    ...(command.uid === undefined ? {} : { uid: command.uid }),
    ...(command.gid === undefined ? {} : { gid: command.gid }),
  }
}

/** Messages are read by this program, so they must be English; and nothing of the caller's PG… variables may leak in. */
export function neutralEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG|CAIRN_|NODE_OPTIONS)/.test(name))
  return { ...Object.fromEntries(kept), LC_ALL: 'C' }
}

/** Promise.withResolvers, which Node 20 has not. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
