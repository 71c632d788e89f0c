/** The `info` of the JSON API: core metadata under the names that clients of it know. */
import type { Version } from '../../protocol/records.js'
import { readEntry } from './entry.js'
import { type CoreMetadata, first } from './metadata.js'
import { encodePath } from './name.js'

export function describe(metadata: CoreMetadata | undefined, name: string, { version, meta }: Version, base: string) {
  const { yanked } = readEntry(meta)
  const text = (field: string): string | null => (metadata && first(metadata, field)) ?? null
  const list = (field: string): readonly string[] | null => metadata?.fields.get(field) ?? null
  const project = `${base}/simple/${encodePath(name)}/`
  return {
    author: text('author'),
    author_email: text('author-email'),
    classifiers: list('classifier') ?? [],
    description: metadata?.description ?? '',
    description_content_type: text('description-content-type'),
    dynamic: list('dynamic'),
    home_page: text('home-page'),
    keywords: text('keywords'),
    license: text('license'),
    license_expression: text('license-expression'),
    license_files: list('license-file'),
    maintainer: text('maintainer'),
    maintainer_email: text('maintainer-email'),
    name: text('name') ?? name,
    package_url: project,
    platform: text('platform'),
    project_url: project,
    project_urls: urls(list('project-url') ?? []),
    provides_extra: list('provides-extra'),
    release_url: project,
    requires_dist: list('requires-dist'),
    requires_python: text('requires-python'),
    summary: text('summary'),
    version,
    yanked: yanked !== undefined,
    yanked_reason: yanked === undefined || yanked === '' ? null : yanked,
  }
}

/** 'Label, https://…' */
function urls(values: readonly string[]): Record<string, string> | null {
  if (values.length === 0) return null
  return Object.fromEntries(
    values.map((value) => {
      const comma = value.indexOf(',')
      return comma < 0 ? [value, value] : [value.slice(0, comma).trim(), value.slice(comma + 1).trim()]
    }),
  )
}
