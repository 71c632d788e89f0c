/** Go modules as zip files, for tests. */
import { type ArchiveDraft, type ZipDraft, zip } from './zip-writer.js'

export interface ModuleDraft {
  module: string
  version: string
  /** By their path in the module. */
  files?: Record<string, string>
  /** undefined: as usual; null: none. */
  goMod?: string | null
  /** Entries with whole names. */
  more?: ZipDraft[]
  archive?: ArchiveDraft
}

export function moduleZip({ module, version, files = {}, goMod, more = [], archive }: ModuleDraft): Buffer {
  const own = goMod === null ? {} : { 'go.mod': goMod ?? `module ${module}\n\ngo 1.18\n` }
  const entries = Object.entries({ ...own, ...files }).map(([path, content]) => ({
    name: `${module}@${version}/${path}`,
    content,
  }))
  return zip([...entries, ...more], archive)
}

/** Where it is published, below a repository's URL. */
export function moduleUrl(module: string, file: string): string {
  return `/${escaped(module)}/@v/${escaped(file)}`
}

/** As the go command sends it. */
export function escaped(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `%21${letter.toLowerCase()}`)
}
