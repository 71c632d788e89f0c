/** A project with a lock file, as its ecosystem's own client installs it, with the settings that this machine's client has. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface Project {
  /** Of the client. */
  name: string
  format: string
  /**
   * What the client is set to use here, and the locked project in `folder`, made from there. `missing` says why there is none.
   */
  lock(folder: string): Promise<Locked | { missing: string }>
}

export interface Locked {
  /** As a remote repository names it. */
  upstream: string
  packages: number
  /**
   * Installs everything into an empty folder, with an empty cache; `url`: of a repository, without a slash at the end; undefined:
   * from the upstream itself.
   */
  install(empty: string, url: string | undefined): Promise<void>
}

const DEADLINE_MS = 600_000
const LARGEST_OUTPUT = 64 * 1024 * 1024

/** What it prints. Throws with its last words. */
export async function runs(
  command: string,
  args: readonly string[],
  { cwd, env = {} }: { cwd: string; env?: Record<string, string | undefined> },
): Promise<string> {
  const options = { cwd, env: { ...process.env, ...env }, timeout: DEADLINE_MS, maxBuffer: LARGEST_OUTPUT }
  try {
    return (await promisify(execFile)(command, args, options)).stdout
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string }
    throw new Error(`${command} ${args[0]} failed: ${stderr.trim().split('\n').slice(-3).join(' ') || message}`)
  }
}

export function reason(error: unknown): { missing: string } {
  return { missing: error instanceof Error ? error.message : String(error) }
}
