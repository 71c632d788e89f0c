/** distribution, the reference registry: files on disk, blob descriptors in memory, no access control, errors only in its log. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Child } from './child.js'
import { freePort } from './ports.js'
import type { Rig } from './rig.js'
import { absent, serve } from './served.js'

export interface Distribution {
  url: string
  process: Child
}

export const DISTRIBUTION_MISSING = 'distribution is not installed (Debian: apt-get install docker-registry)'

/** undefined when it is not installed. */
export async function startDistribution(rig: Rig): Promise<Distribution | undefined> {
  const dir = await rig.directory()
  const port = await freePort()
  const config = join(dir, 'config.yml')
  await writeFile(config, configuration(dir, port))
  const url = `http://127.0.0.1:${port}`
  const served = { command: 'docker-registry', args: ['serve', config], ready: `${url}/v2/`, deadlineMs: 20_000 }
  const child = await serve(rig, served).catch(absent)
  return child && { url, process: child }
}

function configuration(dir: string, port: number): string {
  return `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage:
  filesystem: { rootdirectory: ${dir}/storage }
  cache: { blobdescriptor: inmemory }
http: { addr: "127.0.0.1:${port}" }
`
}
