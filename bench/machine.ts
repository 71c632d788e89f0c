/** What the figures were measured on, for those who compare them. */
import { spawnSync } from 'node:child_process'
import { availableParallelism, cpus, release, totalmem } from 'node:os'

export interface Machine {
  cores: number
  cpu: string
  memoryGiB: number
  kernel: string
  node: string
  nginx: string
  wrk: string
}

export function machine(): Machine {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
    nginx: versionOf('nginx', ['-v'], /nginx\/(\S+)/),
    wrk: versionOf('wrk', ['-v'], /wrk (\S+)/),
  }
}

export function describe(found: Machine): string {
  return (
    `${found.cores} cores (${found.cpu}), ${found.memoryGiB} GiB, Linux ${found.kernel}, Node ${found.node}, nginx ${found.nginx}, wrk ${found.wrk}\n` +
    'Registry, database, rivals and load generators share these cores; nothing is pinned. A ratio compares two runs under the same sharing.'
  )
}

function versionOf(program: string, args: string[], pattern: RegExp): string {
  const { stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` },
  })
  return pattern.exec(`${stdout ?? ''}${stderr ?? ''}`)?.[1] ?? 'missing'
}
