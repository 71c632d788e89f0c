/** Lock files of npm, pnpm and Yarn, and the one file that a locked version needs: its tarball. */
import type { Lock, Locked, Needed } from '../../protocol/lock.js'
import type { Repository } from '../../protocol/repository.js'
import { readPackageLock } from './lock/package-lock.js'
import { readPnpmLock } from './lock/pnpm-lock.js'
import { readYarnLock } from './lock/yarn-lock.js'
import { tarballPath } from './name.js'

export const lock: Lock = {
  names: 'package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, yarn.lock',
  files: [
    { name: /(?:package-lock|npm-shrinkwrap).*\.json/, read: readPackageLock },
    { name: /pnpm-lock.*\.yaml/, read: readPnpmLock },
    { name: /yarn.*\.lock/, read: readYarnLock },
  ],
  find,
}

async function find(repository: Repository, { package: name, version, files }: Locked): Promise<Needed[] | undefined> {
  if (!(await repository.version(name, version))) return undefined
  const path = tarballPath(name, version)
  return [{ name: path, path, sums: files[0]?.sums ?? [] }]
}
