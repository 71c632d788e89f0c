/**
 * Cargo registries: the sparse index and the web interface that cargo speaks. Each version's index line is kept as it is served;
 * the .crate is a plain file at /{crate}/{crate}-{version}.crate. Paths are those of the registries part of cargo's book.
 */
import { type Format, read, write } from '../protocol/format.js'
import { json } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import { download } from './cargo/download.js'
import { lock } from './cargo/lock.js'
import { readMe, readUser } from './cargo/me.js'
import { idOf } from './cargo/name.js'
import { addOwners, readOwners, removeOwners } from './cargo/owners.js'
import { publish } from './cargo/publish.js'
import { search } from './cargo/search.js'
import { readConfig, readIndex } from './cargo/sparse.js'
import { readCrate } from './cargo/summary.js'
import { upstream } from './cargo/upstream.js'
import { unyank, yank } from './cargo/yank.js'
import { compareSemver } from './text/semver.js'

/** The gate is asked about the crate, under the name that its records and files have. */
const OF_CRATE = { subject: ({ crate = '' }: Record<string, string>) => idOf(crate) }
const NAME = { crate: /[a-z0-9_-]+/ }
const PAIR = /[a-z0-9_-]{2}/

export const cargo: Format = {
  name: 'cargo',
  hashes: [],
  routes: [
    read('/config.json', readConfig),
    read('/1/:crate', readIndex, { ...OF_CRATE, params: NAME }),
    read('/2/:crate', readIndex, { ...OF_CRATE, params: NAME }),
    read('/3/:first/:crate', readIndex, { ...OF_CRATE, params: NAME }),
    read('/:first/:second/:crate', readIndex, { ...OF_CRATE, params: { ...NAME, first: PAIR, second: PAIR } }),

    // Its body names the crate, and the handler asks the gate about it.
    write('PUT', '/api/v1/crates/new', publish, { open: 'body' }),
    read('/api/v1/crates', search, { lists: true }),
    read('/api/v1/crates/:crate', readCrate, OF_CRATE),
    read('/api/v1/crates/:crate/:version/download', download, OF_CRATE),
    write('DELETE', '/api/v1/crates/:crate/:version/yank', yank, OF_CRATE),
    write('PUT', '/api/v1/crates/:crate/:version/unyank', unyank, OF_CRATE),
    read('/api/v1/crates/:crate/owners', readOwners, OF_CRATE),
    write('PUT', '/api/v1/crates/:crate/owners', addOwners, OF_CRATE),
    write('DELETE', '/api/v1/crates/:crate/owners', removeOwners, OF_CRATE),
    read('/me', readMe),
    read('/api/v1/me', readUser),
  ],

  /** Cargo sends the token alone, without a scheme. */
  credentials: ({ headers }) => {
    const sent = headers.get('authorization')?.trim()
    return sent === undefined || /\s/.test(sent) ? undefined : `Bearer ${sent}`
  },

  /** Cargo prints the details, and asks for a log-in at the address of the challenge. */
  error: ({ message, kind }, status, request) =>
    json(
      { errors: [{ detail: message }] },
      status,
      kind === 'unauthenticated' ? { 'www-authenticate': `Cargo login_url="${pageOf(request)}", ${CHALLENGE}` } : {},
    ),

  grammar: { name: idOf, compare: compareSemver },
  lock,
  upstream,

  environment: ({ base, key, token }) => {
    const name = key.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')
    return {
      variables: {
        [`CARGO_REGISTRIES_${name}_INDEX`]: `sparse+${base}/`,
        ...(token === undefined ? {} : { [`CARGO_REGISTRIES_${name}_TOKEN`]: token }),
      },
    }
  },
  snippet: ({ base, key }) =>
    [
      '# ~/.cargo/config.toml',
      '[registry]',
      'global-credential-providers = ["cargo:token"]',
      `[registries.${key}]`,
      `index = "sparse+${base}/"`,
      '',
      `cargo login --registry ${key}`,
      `cargo publish --registry ${key}`,
      `cargo add your-crate --registry ${key}`,
    ].join('\n'),
}

const CHALLENGE = 'Basic realm="Cairn", Bearer realm="Cairn"'

/** The page about tokens: beside config.json, which is where cargo meets a challenge first. */
function pageOf({ origin, path }: HttpRequest): string {
  return `${origin}${path.replace(/\/(?:config\.json|api\/v1\/.*|me)$/, '').replaceAll('"', '%22')}/me`
}
