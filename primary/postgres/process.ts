/** Other processes of this machine, as far as one may look at them. */
import { readFile } from 'node:fs/promises'
import { run } from './run.js'

/** Does a process of this number exist, whoever owns it. A zombie does. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Does it still do anything: a zombie, which nobody waits for in some containers, does not. */
export async function runs(pid: number): Promise<boolean> {
  return alive(pid) && (await commandLine(pid)) !== ''
}

/** Program and arguments, separated by spaces; undefined where it cannot be told. */
export async function commandLine(pid: number): Promise<string | undefined> {
  if (process.platform === 'win32') return undefined
  const proc = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
  if (proc !== undefined) return proc.replaceAll('\0', ' ').trim()
  const ps = await run({ file: 'ps', args: ['-o', 'command=', '-p', String(pid)] }, 5_000)
  return ps.code === 0 ? ps.output.trim() : undefined
}
