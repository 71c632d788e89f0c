/** Processor time and memory of processes, from /proc. Linux only. */
import { readdir, readFile } from 'node:fs/promises'

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
/** Fields of /proc/pid/stat after the command's closing bracket. */
const PARENT = 1
const USER_TICKS = 11
const SYSTEM_TICKS = 12

/** Seconds that all threads of the process have used; undefined when it is gone. */
export async function cpuSeconds(pid: number): Promise<number | undefined> {
  const fields = await stat(pid)
  return fields && (Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])) / TICKS_PER_SECOND
}

/** Bytes of resident memory, now and at most ever. */
export async function memory(pid: number): Promise<{ rss: number; peak: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024
  return { rss: bytes('VmRSS'), peak: bytes('VmHWM') }
}

export async function commandLine(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return text.replaceAll('\0', ' ').trim()
}

/** Processes whose command line names the text, and all that descend from them. */
export async function family(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map<number, number>()
  const found = new Set<number>()
  for (const pid of pids) {
    parents.set(pid, Number((await stat(pid))?.[PARENT] ?? 0))
    if (pid !== process.pid && (await commandLine(pid)).includes(text)) found.add(pid)
  }
  const belongs = (pid: number): boolean => found.has(pid) || (pid > 1 && belongs(parents.get(pid) ?? 0))
  return pids.filter(belongs)
}

/** Ends what is left of a family: nothing, when all went well. */
export async function killFamily(text: string): Promise<void> {
  for (const pid of await family(text)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended meanwhile.
    }
  }
}

async function stat(pid: number): Promise<string[] | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}
