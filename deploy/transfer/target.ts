/** What commands are pointed at: `repository/path/in/it`, or the URL of a file. */
import { RegistryError } from '../../protocol/errors.js'

export interface Target {
  /** Repository key; undefined for a URL whose form says nothing about it. */
  key: string | undefined
  /** Inside the repository, decoded, no slash at the beginning. */
  path: string
  /** Path of the URL, encoded, with a slash at the beginning. */
  urlPath: string
  /** Scheme and authority; undefined: the registry of the settings. */
  origin: string | undefined
}

/** Throws `invalid`. */
export function parseTarget(text: string): Target {
  if (/^https?:\/\//i.test(text)) return fromUrl(text)
  const slash = text.indexOf('/')
  const [key, path] = slash < 0 ? [text, ''] : [text.slice(0, slash), text.slice(slash + 1)]
  if (key === '') throw usage(text)
  return { key, path, urlPath: repositoryPath(key, path), origin: undefined }
}

/** Below /repository/, each segment encoded. */
export function repositoryPath(key: string, path: string): string {
  return `/repository/${encodeURIComponent(key)}/${path.split('/').map(encodeURIComponent).join('/')}`
}

const REPOSITORY = /^\/(?:repository|artifactory)\/([^/]+)\/(.+)$/
const DOWNLOAD = /^\/api\/v1\/repositories\/([^/]+)\/(?:download|artifacts)\/(.+)$/

function fromUrl(text: string): Target {
  if (!URL.canParse(text)) throw usage(text)
  const { origin, pathname, search, username } = new URL(text)
  if (username !== '')
    throw new RegistryError('invalid', 'Credentials do not belong into a URL; use `cairn login` or CAIRN_TOKEN', {
      code: 'usage',
    })
  const [, key, path = ''] = REPOSITORY.exec(pathname) ?? DOWNLOAD.exec(pathname) ?? []
  return { key: key && decode(key), path: decode(path), urlPath: pathname + search, origin }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw usage(text)
  }
}

function usage(text: string): RegistryError {
  return new RegistryError('invalid', `"${text}" is neither repository/path nor a URL`, { code: 'usage' })
}
