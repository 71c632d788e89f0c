/** npm packages and the documents that clients publish them with, for tests. */
import { createHash } from 'node:crypto'
import { type Entry, tgz } from './tar-writer.js'

export type Manifest = { name: string; version: string } & Record<string, unknown>

export function packed(manifest: Manifest, more: Entry[] = []): Buffer {
  const readme = { name: 'package/README.md', content: `# ${manifest.name}\n` }
  return tgz([{ name: 'package/package.json', content: JSON.stringify(manifest) }, readme, ...more])
}

export interface PublishOptions {
  tarball?: Buffer
  tag?: string
  /** Changes the document after it was made as npm makes it. */
  edit?: (document: Document) => void
}

/** As libnpmpublish of npm 11 makes it. */
export function publishDocument(
  manifest: Manifest,
  { tarball = packed(manifest), tag = 'latest', edit }: PublishOptions = {},
): Document {
  const document = plain(manifest, tarball, tag)
  edit?.(document)
  return document
}

/** Loose, so that tests can spoil any part of it. */
export interface Document extends Record<string, unknown> {
  'dist-tags': Record<string, unknown>
  versions: Record<string, Record<string, unknown>>
  _attachments: Record<string, Record<string, unknown>>
}

function plain(manifest: Manifest, tarball: Buffer, tag: string): Document {
  const { name, version } = manifest
  const file = `${name}-${version}.tgz`
  const dist = {
    integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`,
    shasum: createHash('sha1').update(tarball).digest('hex'),
    tarball: `http://somewhere.test/${name}/-/${file}`,
  }
  return {
    _id: name,
    name,
    description: manifest.description,
    'dist-tags': { [tag]: version },
    versions: { [version]: { ...manifest, _id: `${name}@${version}`, _nodeVersion: '20.20.0', dist } },
    access: null,
    _attachments: {
      [file]: { content_type: 'application/octet-stream', data: tarball.toString('base64'), length: tarball.length },
    },
  }
}
