/** A process of the bench: started in a group of its own, its last words kept, ended with everything it started. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Rig } from './rig.js'

export interface Child {
  readonly pid: number
  /** Resolves with the exit code, or with the signal's name. */
  readonly ended: Promise<number | string>
  /** The last lines that it wrote to its error stream. */
  lastWords(): string
  /** Asks it to end, and ends it when it does not within `graceMs`. */
  stop(graceMs?: number): Promise<void>
}

const KEPT_BYTES = 4096
const GRACE_MS = 20_000

export async function start(
  rig: Rig,
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<Child> {
  const child = spawn(command, args, {
    ...options,
    env: options.env ?? process.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const words = keepLast(child)
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  )
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => resolve(child.pid ?? 0))
  })
  const stop = async (graceMs = GRACE_MS) => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => killGroup(pid), graceMs)
    await ended
    clearTimeout(timer)
    killGroup(pid)
  }
  rig.onClose(() => stop())
  return { pid, ended, lastWords: words, stop }
}

function keepLast({ stdout, stderr }: ChildProcess): () => string {
  let kept = ''
  const keep = (chunk: Buffer) => {
    kept = (kept + chunk.toString('utf8')).slice(-KEPT_BYTES)
  }
  stdout?.on('data', keep)
  stderr?.on('data', keep)
  return () => kept.trim()
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}
