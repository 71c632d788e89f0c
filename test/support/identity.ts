/** Providers over accounts, as the primary composes them, for tests without one. Addresses of this machine are allowed. */
import type pg from 'pg'
import type { AuditEntry } from '../../primary/accounts/audit.js'
import type { PrimaryAccounts } from '../../primary/accounts.js'
import { Federation } from '../../primary/identity/federation.js'
import { guardedFetch } from '../../primary/identity/fetch.js'
import { IssuerKeys } from '../../primary/identity/issuer-keys.js'
import { Once } from '../../primary/identity/once.js'
import type { ProviderKind, ProviderParts } from '../../primary/identity/provider.js'
import { Providers } from '../../primary/identity/providers.js'
import { LogIns, scimSettings } from '../../primary/scim/log-ins.js'
import { Egress } from '../../primary/upstream/egress.js'
import { guard } from '../../primary/upstream/guard.js'
import { Exchange } from '../../primary/workload/exchange.js'
import { TrustRules } from '../../primary/workload/rules.js'

export interface TestIdentity {
  providers: Providers
  federation: Federation
  logIns: LogIns
  trustRules: TrustRules
  exchange: Exchange
  parts: ProviderParts
  /** What went wrong at providers. */
  faults: unknown[]
  close(): Promise<void>
}

export function testIdentity(
  pool: pg.Pool,
  accounts: PrimaryAccounts,
  kinds: readonly ProviderKind[] = [],
  nowMs: () => number = Date.now,
  audit: (entry: AuditEntry) => Promise<void> = async () => undefined,
): TestIdentity {
  const faults: unknown[] = []
  const allowed = guard(['127.0.0.1', 'localhost'])
  const egress = new Egress({ guard: allowed, connectMs: 1000, connections: 4 })
  const outside = guardedFetch(egress)
  const once = new Once(pool)
  const issuers = new IssuerKeys({ fetch: outside, nowMs })
  const { directory, sessions } = accounts
  const admission = (provider: string) => providers.admission(provider)
  const federation: Federation = new Federation({
    pool,
    directory,
    sessions,
    admission,
    provisioned: (identity) => logIns.accountOf(identity),
    nowMs,
  })
  const logIns: LogIns = new LogIns({ pool, federation, settings: () => scimSettings(providers) })
  const parts: ProviderParts = {
    federation,
    pool,
    key: Buffer.alloc(32, 7),
    guard: allowed,
    fetch: outside,
    once,
    issuers,
    audit,
    console: accounts.console,
    endSessions: (user) => accounts.endSessions(user),
    nowMs,
  }
  const providers: Providers = new Providers(kinds, parts, (error) => void faults.push(error))
  const trustRules = new TrustRules(pool)
  return {
    providers,
    federation,
    logIns,
    trustRules,
    exchange: new Exchange({ rules: trustRules, issuers, once, directory, audit: async () => undefined, nowMs }),
    parts,
    faults,
    close: async () => {
      await providers.close()
      await egress.close()
    },
  }
}
