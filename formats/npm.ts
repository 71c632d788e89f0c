/**
 * The npm registry. Each version's entry is kept as it was published and joined into packuments; tarballs are plain files at
 * /{pkg}/-/{name}-{version}.tgz. Routes are those of npm 11, which pnpm, Yarn and Bun use too.
 */
import { type Call, type Format, type Params, type Route, type RouteOptions, read, write } from '../protocol/format.js'
import { json, type Reply } from '../protocol/http/reply.js'
import { rootRoute } from '../protocol/root.js'
import { readCollaborators, readVisibility, refuseTeams, setAccess } from './npm/access.js'
import {
  changeProfile,
  login,
  loginByBrowser,
  logout,
  ok,
  readProfile,
  readUser,
  readUserPackages,
  whoami,
} from './npm/account.js'
import { grammar } from './npm/grammar.js'
import { lock } from './npm/lock.js'
import { NAME } from './npm/name.js'
import { readPackument, readVersion } from './npm/packument.js'
import { parseSpec, readAttestations } from './npm/provenance.js'
import { putPackage } from './npm/publish.js'
import { search } from './npm/search.js'
import { bulkAdvisories, quickAudit, readKeys } from './npm/security.js'
import { readTags, removeTag, setTag, setTags } from './npm/tags.js'
import { createToken, listTokens, revokeToken } from './npm/tokens.js'
import { exchangeToken } from './npm/trusted.js'
import { putRevision, removePackage, removeTarball } from './npm/unpublish.js'
import { upstream } from './npm/upstream.js'

/** The gate is asked about the package, wherever in the path its name stands. */
const OF_PACKAGE = { params: { package: NAME }, subject: ({ package: name = '' }: Record<string, string>) => name }
const DELETES = { ...OF_PACKAGE, action: 'delete' } as const
/** Changes an account, which whoever may read here may do with their own. */
const OWN_ACCOUNT = { action: 'read' } as const
/** What makes somebody known cannot ask who it is first. */
const OPEN = { action: 'read', open: 'login' } as const

export const npm: Format = {
  name: 'npm',
  hashes: ['sha1', 'sha512'],
  rootRoutes: [rootRoute('POST', '/-/npm/v1/oidc/token/exchange/package/:package*', exchangeToken)],
  routes: [
    read('/-/ping', ok),
    read('/-/whoami', whoami),
    read('/-/v1/search', search, { lists: true }),
    write('POST', '/-/v1/login', loginByBrowser, OPEN),
    write('PUT', '/-/user/:user', login, OPEN),
    write('PUT', '/-/user/:user/-rev/:rev', login, OPEN),
    write('DELETE', '/-/user/token/:token', logout, OWN_ACCOUNT),
    read('/-/user/:user/package', readUserPackages),
    read('/-/user/:user', readUser),
    read('/-/npm/v1/user', readProfile),
    write('POST', '/-/npm/v1/user', changeProfile, OWN_ACCOUNT),
    read('/-/npm/v1/tokens', listTokens),
    write('POST', '/-/npm/v1/tokens', createToken, OWN_ACCOUNT),
    write('DELETE', '/-/npm/v1/tokens/token/:token', revokeToken, OWN_ACCOUNT),
    read('/-/npm/v1/keys', readKeys),
    read('/-/npm/v1/attestations/:spec*', readAttestations, { subject: ({ spec = '' }) => parseSpec(spec).name }),
    ask('/-/npm/v1/security/advisories/bulk', bulkAdvisories),
    ask('/-/npm/v1/security/audits/quick', quickAudit),
    ask('/-/npm/v1/security/audits', quickAudit),

    read('/-/package/:package/dist-tags', readTags, OF_PACKAGE),
    write('PUT', '/-/package/:package/dist-tags', setTags, OF_PACKAGE),
    write('POST', '/-/package/:package/dist-tags', setTags, OF_PACKAGE),
    write('PUT', '/-/package/:package/dist-tags/:tag', setTag, OF_PACKAGE),
    write('POST', '/-/package/:package/dist-tags/:tag', setTag, OF_PACKAGE),
    write('DELETE', '/-/package/:package/dist-tags/:tag', removeTag, OF_PACKAGE),
    read('/-/package/:package/visibility', readVisibility, OF_PACKAGE),
    read('/-/package/:package/collaborators', readCollaborators, OF_PACKAGE),
    write('POST', '/-/package/:package/access', setAccess, OF_PACKAGE),
    write('PUT', '/-/team/:scope/:team/package', refuseTeams),
    write('DELETE', '/-/team/:scope/:team/package', refuseTeams),

    read('/', ok),
    read('/:package', readPackument, OF_PACKAGE),
    read('/:package/:version', readVersion, OF_PACKAGE),
    write('PUT', '/:package', putPackage, OF_PACKAGE),
    write('PUT', '/:package/-rev/:rev', putRevision, OF_PACKAGE),
    write('DELETE', '/:package/-rev/:rev', removePackage, DELETES),
    write('DELETE', '/:package/-/:file/-rev/:rev', removeTarball, DELETES),
  ],

  /** npm prints the text under `error`. */
  error: ({ message, code }, status) => json({ error: message, code }, status),

  upstream,
  grammar,
  lock,

  environment: ({ base, token }) => ({
    variables: {
      npm_config_registry: `${base}/`,
      YARN_NPM_REGISTRY_SERVER: base,
      YARN_UNSAFE_HTTP_WHITELIST: new URL(base).hostname,
      ...(token === undefined
        ? {}
        : {
            [`npm_config_${base.replace(/^https?:/, '')}/:_authToken`]: token,
            YARN_NPM_AUTH_TOKEN: token,
          }),
    },
  }),
  snippet: ({ base }) => {
    const address = base.replace(/^https?:/, '')
    return [
      `npm config set registry ${base}/`,
      `npm config set ${address}/:_authToken YOUR-TOKEN   # to publish; or: npm login --auth-type=legacy`,
      'npm publish',
      'npm install your-package',
    ].join('\n')
  },
}

/** A question that is asked by POST: it changes nothing, so a node answers it itself. */
function ask<P extends string>(
  pattern: P,
  handle: (call: Call<Params<P>>) => Promise<Reply>,
  options: RouteOptions = {},
): Route {
  return { ...write('POST', pattern, handle, { action: 'read', ...options }), writes: false }
}
