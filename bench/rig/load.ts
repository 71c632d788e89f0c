/**
 * Runs a load generator (bench/load) in a process of its own, so that it does not share an event loop with anything measured.
 * `prefix`: the host that it runs on (network.ts).
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Loads } from '../load/loads.js'

const run = promisify(execFile)
const PROGRAM = fileURLToPath(new URL('../load/main.js', import.meta.url))
const MAX_REPORT_BYTES = 64 * 1024 * 1024

export async function load<K extends keyof Loads>(
  kind: K,
  options: Parameters<Loads[K]>[0],
  deadlineMs = 120_000,
  prefix: readonly string[] = [],
): Promise<Awaited<ReturnType<Loads[K]>>> {
  const node = [process.execPath, '--max-old-space-size=4096', PROGRAM, kind, '-']
  const [command = '', ...args] = [...prefix, ...node]
  const running = run(command, args, { timeout: deadlineMs, maxBuffer: MAX_REPORT_BYTES })
  running.child.stdin?.on('error', () => undefined).end(JSON.stringify(options))
  const { stdout } = await running.catch(explained(kind))
  const report: unknown = JSON.parse(stdout)
  if (typeof report !== 'object' || report === null) throw new Error(`the load generator ${kind} reported nothing`)
  return report as Awaited<ReturnType<Loads[K]>>
}

function explained(kind: string): (error: { stderr?: string; killed?: boolean; message: string }) => never {
  return ({ stderr, killed, message }) => {
    throw new Error(`the load generator ${kind} ${killed ? 'took too long' : 'failed'}: ${stderr?.trim() || message}`)
  }
}
