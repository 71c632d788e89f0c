/** The whole REST interface of the primary: what nodes answer too, what changes something, and the document about both. */
import type pg from 'pg'
import type { Gate } from '../../protocol/access/gate.js'
import type { Endpoint } from '../../protocol/api/endpoint.js'
import { openApiEndpoint } from '../../protocol/api/openapi.js'
import { proofEndpoints } from '../../protocol/api/proofs.js'
import { type Reads, readEndpoints } from '../../protocol/api/reads.js'
import type { Holders } from '../../protocol/api/search.js'
import { type Api, serveApi } from '../../protocol/api/serve.js'
import type { Ledger } from '../../protocol/ledger.js'
import type { Prover } from '../../protocol/log/prover.js'
import type { Metadata } from '../../protocol/ports.js'
import type { Audit } from '../accounts/audit.js'
import type { PrimaryAccounts } from '../accounts.js'
import type { Downloads } from '../downloads.js'
import type { Whereabouts } from '../fleet/whereabouts.js'
import type { Federation } from '../identity/federation.js'
import type { Providers } from '../identity/providers.js'
import type { Leases } from '../leases.js'
import type { Nodes } from '../nodes.js'
import type { Escrow } from '../recovery/escrow.js'
import type { Repositories } from '../repositories.js'
import type { Exchange } from '../workload/exchange.js'
import type { TrustRules } from '../workload/rules.js'
import { type ArtifactsOptions, artifactEndpoints } from './artifacts.js'
import { auditEndpoints } from './audit.js'
import { authEndpoints } from './auth.js'
import { grantEndpoints } from './grants.js'
import { groupEndpoints, roleEndpoints } from './groups.js'
import { leaseEndpoints } from './leases.js'
import { nodeEndpoints } from './nodes.js'
import { projectEndpoints } from './projects.js'
import { providerEndpoints } from './providers.js'
import { recoveryEndpoints } from './recovery.js'
import { repositoryEndpoints } from './repositories.js'
import { tokenEndpoints } from './tokens.js'
import { trustEndpoints } from './trust.js'
import { userEndpoints } from './users.js'

export interface PrimaryApiOptions extends Omit<Reads, 'holders' | 'usage' | 'downloads'> {
  metadata: Metadata
  gate: Gate
  pool: Pick<pg.Pool, 'query'>
  ledger: Ledger
  accounts: PrimaryAccounts
  audit: Audit
  downloads: Downloads
  nodes: Nodes
  whereabouts: () => Promise<Whereabouts>
  leases: Leases
  providers: Providers
  federation: Federation
  trustRules: TrustRules
  escrow: Pick<Escrow, 'refresh'>
  /** Of the log, 32 raw bytes. */
  logKey: Uint8Array
  exchange: Exchange
  repositories: Repositories
  prover: Prover
  formatRoute: ArtifactsOptions['formatRoute']
  restoreDays: number
  /** Of this program. */
  version: string
  nowMs?: () => number
}

export function primaryApi(options: PrimaryApiOptions): Api {
  const { metadata, gate, audit } = options
  return serveApi(primaryEndpoints(options), { metadata, gate, audit: (entry) => audit.record(entry) })
}

export function primaryEndpoints(options: PrimaryApiOptions): Endpoint[] {
  const { metadata, gate, ledger, accounts, audit, downloads, nodes, repositories, version, nowMs = Date.now } = options
  const reads: Reads = {
    ...options,
    usage: (scope) => ledger.usage(scope),
    holders: holdersIn(options.pool),
    downloads: (scope, path) => downloads.total(scope, path),
  }
  const endpoints = [
    ...readEndpoints(reads),
    ...proofEndpoints(options),
    ...authEndpoints(accounts, metadata),
    ...tokenEndpoints(accounts, options.federation, options.providers),
    ...userEndpoints(accounts, metadata, gate),
    ...repositoryEndpoints(repositories, metadata, gate, options.formats),
    ...artifactEndpoints({ ...options, downloads, nowMs }),
    ...grantEndpoints(metadata, ledger),
    ...groupEndpoints(accounts.groups),
    ...roleEndpoints(accounts.roles),
    ...projectEndpoints({ projects: accounts.projects, metadata, gate, usage: (...scopes) => ledger.usage(...scopes) }),
    ...nodeEndpoints(nodes, options.whereabouts),
    ...leaseEndpoints(options.leases, metadata, nowMs),
    ...providerEndpoints(options.providers, options.federation),
    ...trustEndpoints(options.trustRules, options.exchange, metadata),
    ...auditEndpoints(audit),
    ...recoveryEndpoints({ ...options, nowMs }),
  ]
  const document: Endpoint = openApiEndpoint(() => ({ version, endpoints: [...endpoints, document] }))
  return [...endpoints, document]
}

const MAX_HOLDERS = 10_000

/** Looks a digest up among the files that can be seen. */
export function holdersIn(pool: Pick<pg.Pool, 'query'>): Holders {
  return async (digest) => {
    const { rows } = await pool.query<{ scope: string; name: string }>({
      name: 'row_holders',
      text: `select scope, name from record where kind = 'file' and digest = $1 and until is null order by scope, name limit ${MAX_HOLDERS}`,
      values: [digest],
    })
    return rows.map(({ scope, name }) => ({ scope, path: name }))
  }
}
