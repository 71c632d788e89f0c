/**
 * The primary, composed. Reads from top to bottom as its architecture: keys, database, records, blobs, log, accounts and gate,
 * repositories, interfaces, and the two ports that answer (HTTP for clients, TLS for nodes).
 */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { openSite, UNATTENDED } from '../admin/site.js'
import type { NodeCard } from '../admin/view.js'
import { formats } from '../formats/index.js'
import { Gate } from '../protocol/access/gate.js'
import { app, type Handler } from '../protocol/app/app.js'
import { DiskBlobs } from '../protocol/blobs/disk.js'
import { Scrubber } from '../protocol/blobs/scrub.js'
import { issue } from '../protocol/certificate.js'
import { RegistryError } from '../protocol/errors.js'
import type { LogEntry } from '../protocol/http/dispatcher.js'
import { rateLimited } from '../protocol/http/rate-limit.js'
import type { Reply } from '../protocol/http/reply.js'
import { type HttpRequest, seenFrom } from '../protocol/http/request.js'
import { serve } from '../protocol/http/server.js'
import { Hosted } from '../protocol/kinds/hosted.js'
import { Listings } from '../protocol/kinds/listing.js'
import { Remote } from '../protocol/kinds/remote.js'
import { Prover } from '../protocol/log/prover.js'
import { State } from '../protocol/metadata/state.js'
import { type DestinationStream, errorFields, type Logger, logger, logRequest } from '../protocol/observe/log.js'
import { Metrics } from '../protocol/observe/metrics.js'
import { Periodic } from '../protocol/periodic.js'
import type { NodeRecord, RepositoryRecord } from '../protocol/records.js'
import { Registry } from '../protocol/registry.js'
import type { Single } from '../protocol/repository.js'
import { LOCAL_TOKEN_FILE, type PrimarySettings, type Running } from '../protocol/settings.js'
import { ORIGIN_HEADER, POSITION_HEADER } from '../protocol/wire/identity.js'
import { Audit } from './accounts/audit.js'
import { BreachedPasswords } from './accounts/breached.js'
import { Syslog } from './accounts/syslog.js'
import { FIRST_ADMINISTRATOR, PrimaryAccounts } from './accounts.js'
import { holdersIn, primaryApi } from './api/endpoints.js'
import { collect } from './collect.js'
import { consoleOf } from './console.js'
import { Downloads } from './downloads.js'
import { Asking } from './fleet/asking.js'
import { Fleet } from './fleet/fleet.js'
import { Holdings } from './fleet/holdings.js'
import { Returning } from './fleet/returning.js'
import { whereabouts } from './fleet/whereabouts.js'
import { Federation } from './identity/federation.js'
import { guardedFetch } from './identity/fetch.js'
import { IssuerKeys } from './identity/issuer-keys.js'
import { providerKinds } from './identity/kinds.js'
import { Once } from './identity/once.js'
import { Providers } from './identity/providers.js'
import { loadKeys, type PrimaryKeys } from './keys.js'
import { Leases } from './leases.js'
import { heldLog } from './log/held.js'
import { Signer } from './log/signer.js'
import { Nodes, type NodeView } from './nodes.js'
import { embedded } from './postgres/embedded.js'
import { PostgresLedger } from './postgres/ledger.js'
import { migrate } from './postgres/migrate.js'
import { openPool } from './postgres/pool.js'
import { PostgresRows } from './postgres/rows.js'
import { Escrow } from './recovery/escrow.js'
import { Repositories } from './repositories.js'
import { type Fetched, fetchMissing } from './rescue/missing.js'
import { lookAgain } from './rescue/report.js'
import { LogIns, scimSettings } from './scim/log-ins.js'
import { openScim } from './scim/scim.js'
import { upkeep } from './upkeep.js'
import { UpstreamClient } from './upstream/client.js'
import { credentialKey, PostgresCredentials } from './upstream/credentials.js'
import { PostgresDocuments } from './upstream/documents.js'
import { Egress } from './upstream/egress.js'
import { upstreamOptions } from './upstream/options.js'
import { UpstreamOrigin } from './upstream/origin.js'
import { RemoteBlobs } from './upstream/remote-blobs.js'
import { Exchange } from './workload/exchange.js'
import { TrustRules } from './workload/rules.js'

export interface PrimaryRunning extends Running {
  /** Set when it was generated at this start: to be shown once. */
  adminPassword: string | undefined
  /** How many nodes listen, once there are `count`, or when the time is up. */
  listening(count: number, timeoutMs: number): Promise<number>
  /** What records name and the content store has not is asked of the nodes. */
  fetchMissing(onProgress: (done: Fetched) => void): Promise<Fetched>
}

const POOL_CONNECTIONS = 16
const CERTIFICATE_SECONDS = 24 * 3600
const INDEX_CACHE_BYTES = 64 * 1024 * 1024
const LISTINGS_BYTES = 64 * 1024 * 1024
const DOWNLOADS_FLUSH_MS = 5_000
const USES_FLUSH_MS = 10_000
const SWEEP_MS = 3_600_000
const PROVIDERS_TICK_MS = 60_000
const ESCROW_MS = 10_000
const MISSING_MS = 5_000
const LISTENERS_MS = 100
const GRACE_MS = 5_000
const DAY_MS = 86_400_000
/** Longer than any upload lasts between its bytes and its commit. */
const COLLECT_GRACE_MS = DAY_MS
/** A reader waits so long for a node that has what is damaged here. */
const REPAIR_MS = 2_000

export interface PrimaryProgram {
  /** The package's folder, where migrations lie. */
  root: string
  version: string
  /** Default standard output. */
  logTo?: DestinationStream
}

export async function startPrimary(settings: PrimarySettings, program: PrimaryProgram): Promise<PrimaryRunning> {
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end()
  }
  try {
    return await compose(settings, program, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function compose(
  settings: PrimarySettings,
  program: PrimaryProgram,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<PrimaryRunning> {
  const now = () => new Date().toISOString()
  const startedAtMs = Date.now()
  const log = logger('primary', settings.logLevel, program.logTo)
  const keys = await loadKeys(join(settings.data, 'keys'), new Date())

  const pool = await database(settings, program.root, log, closers)
  const rows = new PostgresRows(pool)
  const state = await State.open(rows, await head(pool))
  const ledger = new PostgresLedger(pool, state, now)
  closers.push(() => ledger.close())

  const asking = new Asking()
  const holdings = new Holdings()
  const blobs = new DiskBlobs(join(settings.data, 'store'), {
    source: 'primary',
    repair: (...damage) => asking.ask(...damage),
    repairTimeoutMs: REPAIR_MS,
    reverifyMs: settings.reverifySeconds * 1000,
    onDamage: (damage) => log.error({ damage }, 'a stored blob is damaged'),
  })
  await blobs.start()
  closers.push(() => blobs.close())

  const signer = new Signer({
    pool,
    key: keys.log,
    fleet: keys.fleet,
    now,
    onError: (error) => log.error(errorFields(error), 'signing failed'),
  })
  await signer.start(ledger)
  closers.push(() => signer.close())

  const syslog =
    settings.syslog === undefined
      ? undefined
      : new Syslog({
          url: new URL(settings.syslog),
          onFault: (sentence, error) => log.warn(error === undefined ? {} : errorFields(error), sentence),
        })
  if (syslog) closers.push(() => syslog.close())
  const audit = new Audit(pool, {
    onRecorded: (row) => {
      syslog?.send(row)
      if (row.who === settings.breakGlass)
        log.error({ alarm: true, audit: row }, 'the account for emergencies is in use')
    },
  })
  const accounts: PrimaryAccounts = new PrimaryAccounts({
    pool,
    ledger,
    metadata: state,
    elsewhere: (user, password) => providers.password(user, password),
    exchange: (token, { id, origin, remote }) => exchange.exchange({ token, origin, remote, requestId: id }),
    key: await credentialKey(join(settings.data, 'keys', 'accounts.key')),
    secondFactor: settings.secondFactor,
    tokens: settings.tokens,
    breached: await BreachedPasswords.with(settings.passwordList),
    onPassword: (who, outcome, remote) =>
      void audit
        .record({ who, action: 'auth.password', subject: '', outcome, requestId: '', remote, detail: {} })
        .catch((error) => log.error(errorFields(error), 'a log-in is not in the audit trail')),
  })
  const gate = new Gate(state, accounts, { anonymousReads: settings.anonymous, uses: accounts.lastUses.noted })
  const adminPassword = await accounts.firstStart(settings.adminPassword)
  await writeLocalToken(settings.data, accounts, state)

  const downloads = new Downloads(pool)
  const regularly = (task: () => Promise<unknown>, everyMs: number, failure: string) => {
    const periodic = new Periodic(task, everyMs, (error) => log.warn(errorFields(error), failure))
    periodic.start()
    closers.push(() => periodic.close())
  }
  regularly(() => downloads.flush(), DOWNLOADS_FLUSH_MS, 'download counts were not written')
  regularly(() => accounts.lastUses.flush(), USES_FLUSH_MS, 'last uses of tokens were not written')
  regularly(() => accounts.sweep(), SWEEP_MS, 'sessions were not swept')
  // Bytes stay as long as a push may last that counts on them.
  const keptMs = Math.max(settings.restoreDays * DAY_MS, COLLECT_GRACE_MS)
  const unused = { graceMs: COLLECT_GRACE_MS, restoreMs: keptMs, nowMs: Date.now }
  regularly(() => collect({ pool, blobs, ...unused }), SWEEP_MS, 'unreferenced blobs were not collected')

  const holders = holdersIn(pool)
  const scrubber = new Scrubber({
    disk: blobs,
    metadata: state,
    holders,
    bytesPerSecond: settings.scrubRate,
    onDone: (done) => log.info({ ...done }, 'the content store was read again'),
    onError: (error) => log.warn(errorFields(error), 'the content store was not read again to its end'),
  })
  if (settings.scrubRate > 0) scrubber.start()
  closers.push(() => scrubber.close())

  const outside = await upstreamOptions(settings)
  const client = new UpstreamClient(outside)
  closers.push(() => client.close())
  const sealingKey = await credentialKey(join(settings.data, 'keys', 'upstreams.key'))
  const credentials = new PostgresCredentials(pool, sealingKey)

  const once = new Once(pool)
  regularly(() => once.sweep(Date.now()), SWEEP_MS, 'what counts once was not swept')
  const federation: Federation = new Federation({
    pool,
    directory: accounts.directory,
    sessions: accounts.sessions,
    admission: (provider) => providers.admission(provider),
    provisioned: (identity) => logIns.accountOf(identity),
  })
  const logIns: LogIns = new LogIns({ pool, federation, settings: () => scimSettings(providers) })
  const identityEgress = new Egress({ ...outside, connectMs: outside.connectMs ?? 10_000, connections: 8 })
  closers.push(() => identityEgress.close())
  const identityFetch = guardedFetch(identityEgress)
  const issuers = new IssuerKeys({ fetch: identityFetch, nowMs: Date.now })
  const providers: Providers = new Providers(
    providerKinds,
    {
      federation,
      pool,
      key: sealingKey,
      guard: outside.guard,
      fetch: identityFetch,
      once,
      issuers,
      audit: (entry) => audit.record(entry),
      console: accounts.console,
      endSessions: (user) => accounts.endSessions(user),
      nowMs: Date.now,
    },
    (error, provider) => log.warn({ provider, ...errorFields(error) }, 'an identity provider failed'),
  )
  await providers.start()
  const trustRules = new TrustRules(pool)
  await trustRules.start()
  const exchange: Exchange = new Exchange({
    rules: trustRules,
    issuers,
    once,
    directory: accounts.directory,
    audit: (entry) => audit.record(entry),
    nowMs: Date.now,
  })
  closers.push(() => providers.close())
  regularly(() => providers.tick(), PROVIDERS_TICK_MS, 'identity providers were not asked')
  const documents = new PostgresDocuments(pool)
  const listings = new Listings(LISTINGS_BYTES)
  const remoteBlobs = new RemoteBlobs({
    disk: blobs,
    pool,
    metadata: state,
    formats,
    limit: settings.remoteCacheBytes,
    nowMs: Date.now,
    onFault: (error) => log.warn(errorFields(error), 'bytes of remote repositories were not evicted'),
  })
  await remoteBlobs.start()
  state.onChange((change) => remoteBlobs.note(change))
  closers.push(() => remoteBlobs.close())
  const origin = new UpstreamOrigin({
    client,
    documents,
    credentials,
    metadata: state,
    ledger,
    blobs: remoteBlobs,
    listings,
    formats,
    now,
    maxFileBytes: settings.maxUploadBytes,
  })
  remoteBlobs.fetchFrom(origin)

  const repositories = new Repositories({
    metadata: state,
    ledger,
    formats: formats.map((format) => format.name),
    types: ['local', 'remote', 'virtual'],
    settings: (format) => formats.find(({ name }) => name === format)?.settings,
    grammar: (format) => formats.find(({ name }) => name === format)?.grammar,
    remoteFormats: formats.filter(({ upstream }) => upstream !== undefined).map(({ name }) => name),
    credentials,
    documents,
    turn: accounts.directory.turn,
  })
  const nodes = new Nodes({
    pool,
    ledger,
    metadata: state,
    downloads,
    lastUses: accounts.lastUses,
    primary: {
      url: fleetUrl(settings),
      logKey: Buffer.from(keys.logPublic).toString('base64url'),
      tlsPin: keys.tls.pin,
    },
    onAlarm: (node, sentence) => log.error({ alarm: true, node: node.name }, sentence),
  })

  const leases = new Leases({
    metadata: state,
    ledger,
    grammar: (format) => formats.find(({ name }) => name === format)?.grammar,
    turn: accounts.directory.turn,
    nowMs: Date.now,
  })

  const escrow = new Escrow({ pool, ledger, metadata: state, keys: join(settings.data, 'keys'), nowMs: Date.now })
  regularly(() => escrow.refresh(), ESCROW_MS, 'what changed was not sealed to the recovery key')

  const lacking = { pool, blobs, asking, metadata: state }
  let nodesAsked = 0
  const again = async () => {
    const nodesNow = asking.nodes
    if (nodesNow > nodesAsked) await lookAgain(settings.data, () => fetchMissing(lacking, () => undefined))
    nodesAsked = nodesNow
  }
  regularly(again, MISSING_MS, 'what a rescue did not find was not looked for')

  const metrics = new Metrics('primary')
  const onFault = (error: unknown, { key }: RepositoryRecord, name: string) =>
    log.info(
      { repository: key, name, ...errorFields(error) },
      'the upstream could not be asked; what is held is served',
    )
  const open = (record: RepositoryRecord): Single => {
    const { upstream, grammar } = formats.find(({ name }) => name === record.format) ?? {}
    if (record.type === 'remote')
      return new Remote(
        record,
        state,
        remoteBlobs,
        upstream && { origin, upstream, listings, nowMs: Date.now, onFault },
      )
    // Not in the last hour, when the bytes may be on their way out.
    const restoreMs = keptMs - SWEEP_MS
    const { maxUploadBytes } = settings
    return new Hosted(record, state, { blobs, ledger, now, maxUploadBytes, restoreMs, nameOf: grammar?.name })
  }
  const onNeglect = (error: unknown, { key }: RepositoryRecord) =>
    log.warn({ repository: key, ...errorFields(error) }, 'a repository was not looked after')
  const looked = { metadata: state, formats, open, onError: onNeglect }
  regularly(() => upkeep(looked), SWEEP_MS, 'repositories were not looked after')
  const registry = new Registry({
    metadata: state,
    access: gate,
    accounts: (remote) => accounts.at(remote),
    formats,
    open,
    count: (record, path) => downloads.count(record.scope, path, 1),
    holders,
    onError: (error, request) => log.error({ id: request.id, ...errorFields(error) }, 'request failed'),
    cacheBytes: INDEX_CACHE_BYTES,
  })
  const prover = new Prover({
    log: heldLog(pool, signer),
    metadata: state,
    fleet: keys.fleet,
    publicKey: keys.logPublic,
  })
  const api = primaryApi({
    metadata: state,
    gate,
    pool,
    ledger,
    accounts,
    audit,
    downloads,
    nodes,
    whereabouts: () =>
      whereabouts({ pool, holdings, has: (digest) => blobs.has(digest), keyOf: (scope) => state.scope(scope)?.key }),
    leases,
    providers,
    federation,
    trustRules,
    exchange,
    escrow,
    logKey: keys.logPublic,
    repositories,
    prover,
    formats,
    open: (record, principal) => registry.repository(record, principal),
    members: (record) => registry.members(record),
    merges: (record, name) => registry.merges(record, name),
    blobs,
    file: (repository, file, request) => registry.file(repository, file, request),
    formatRoute: (request) => registry.handle(request),
    restoreDays: settings.restoreDays,
    version: program.version,
  })
  const site = await openSite({
    metadata: state,
    gate,
    formats,
    nodes: async () => (await nodes.list()).flatMap(card),
    usage: (scope) => ledger.usage(scope),
    version: program.version,
    fleet: keys.fleet,
    startedAtMs,
    nowMs: Date.now,
    open: settings.anonymous,
    secure: settings.tls !== undefined,
    rest: api,
    console: consoleOf({ accounts, audit, metadata: state, providers }),
  })
  let blobBytes = 0
  const fleet = new Fleet({
    asking,
    holdings,
    fleet: keys.fleet,
    logKey: keys.logPublic,
    pool,
    metadata: state,
    gate,
    blobs: remoteBlobs,
    signer,
    members: nodes,
    open: (record) => registry.repository(record, gate.anonymous),
    passes: (scope, digest) => registry.passes(scope, digest),
    returning: new Returning({
      metadata: state,
      rows,
      gate,
      ledger,
      leases,
      blobs,
      maxUploadBytes: settings.maxUploadBytes,
      nowMs: Date.now,
    }),
    issue: (node) => certificate(keys, node),
    authenticate: async (authorization, remote) => (await gate.authenticate(authorization, remote)).name,
    onBlobBytes: (bytes) => {
      blobBytes += bytes
    },
    nowMs: Date.now,
  })
  metrics.gauge('cairn_log_number', 'Number of the newest change.', () => state.head.number)
  metrics.gauge('cairn_scrubbed_bytes_total', 'Bytes of the disk that were read again.', () => scrubber.bytes)
  metrics.gauge('cairn_fleet_blob_bytes_total', 'Bytes of blobs that were sent to nodes.', () => blobBytes)
  metrics.gauge('cairn_node_alarms', 'Nodes that cannot believe the log that is signed here.', () => nodes.alarms)
  metrics.gauge('cairn_repositories', 'Repositories.', () => state.repositories().length)

  const signedIn = (request: HttpRequest) => {
    const credentials = request.headers.get('authorization')
    return credentials === undefined ? gate.anonymous : gate.authenticate(credentials, request.remote)
  }
  const scim = openScim({
    pool,
    metadata: state,
    gate,
    directory: accounts.directory,
    federation,
    providers,
    logIns,
    audit: (entry) => audit.record(entry),
    authenticate: signedIn,
    onError: (error, request) => log.error({ id: request.id, ...errorFields(error) }, 'request failed'),
    nowMs: Date.now,
  })
  // The pages go by the cookie alone, and the REST interface never does: no page can make a browser call it.
  const interfaces: Handler = (request) => {
    if (request.path.startsWith('/api/v1/')) return answered(signedIn(request), (principal) => api(request, principal))
    if (request.path !== '/' && !request.path.startsWith('/admin/')) return undefined
    return shown(request)
  }
  const nobody = { principal: gate.anonymous, session: undefined }
  const shown = async (request: HttpRequest) => {
    const visitor = await accounts.console.find(request, request.path !== UNATTENDED)
    return (await site(request, visitor ?? nobody)) ?? missing()
  }
  const parts = {
    registry,
    metrics,
    log,
    health: () => ({
      part: 'primary',
      version: program.version,
      fleet: keys.fleet,
      number: state.head.number,
      alarms: nodes.alarms,
    }),
    ready: () => ready(pool),
  }
  const answer = app({ handlers: [interfaces, scim], ...parts })
  const userOf = (authorization: string) => gate.known(authorization)?.name
  const positioned = withPosition(rateLimited(answer, { limits: settings.rates, userOf, nowMs: Date.now }), state)
  const observe = (line: LogEntry) => {
    metrics.request(line.method, line.status, line.ms, line.bytes)
    logRequest(log, line)
  }

  const fleetAnswer = app({
    handlers: [
      (request) =>
        request.path.startsWith('/fleet/v1/') ? fleet.handle(request) : forwarded(fleet, request, positioned),
    ],
    ...parts,
  })
  const observeNodes = (line: LogEntry) => {
    // Heartbeats and feeds are no news; what nodes forward is logged like any other request.
    if (line.path.startsWith('/fleet/v1/') && line.status < 500)
      metrics.request(line.method, line.status, line.ms, line.bytes)
    else observe(line)
  }
  const nodesListen = await serve(
    {
      host: settings.fleetHost,
      port: settings.fleetPort,
      tls: keys.tls,
      publicUrls: [],
      trustedProxies: [],
      log: observeNodes,
    },
    fleetAnswer,
  )
  closers.push(() => nodesListen.close({ graceMs: GRACE_MS }))
  closers.push(() => fleet.close())
  const listening = await serve(
    {
      host: settings.host,
      port: settings.port,
      tls: settings.tls,
      onTlsFault: (error) => log.warn(errorFields(error), 'the certificate was not renewed'),
      publicUrls: settings.publicUrls,
      trustedProxies: settings.trustedProxies,
      log: observe,
    },
    positioned,
  )
  closers.push(() => listening.close({ graceMs: GRACE_MS }))
  log.info({ port: listening.port, fleetPort: nodesListen.port, fleet: keys.fleet }, 'primary is ready')
  return {
    url: listening.url,
    adminPassword,
    close,
    listening: (count, timeoutMs) => listeners(asking, count, timeoutMs),
    fetchMissing: (onProgress) => fetchMissing(lacking, onProgress),
  }
}

/** Brought to this program's schema. */
export async function database(
  settings: PrimarySettings,
  root: string,
  log: Logger,
  closers: (() => Promise<void>)[],
): Promise<pg.Pool> {
  let url = settings.databaseUrl
  if (url === undefined) {
    const server = await embedded(join(settings.data, 'postgres'))
    closers.push(() => server.stop())
    url = server.url
    log.info({ adopted: server.adopted, postgres: server.pid }, 'embedded Postgres runs')
  }
  const onLost = (error: Error) => log.warn(errorFields(error), 'a database connection was lost')
  const pool = openPool({ url, connections: POOL_CONNECTIONS, onLost })
  closers.push(() => pool.end())
  await migrate(pool, join(root, 'migrations'))
  return pool
}

async function listeners(asking: Pick<Asking, 'nodes'>, count: number, timeoutMs: number): Promise<number> {
  const end = Date.now() + timeoutMs
  while (asking.nodes < count && Date.now() < end) await delay(LISTENERS_MS)
  return asking.nodes
}

async function head(pool: pg.Pool): Promise<{ epoch: number; number: number }> {
  const { rows } = await pool.query<{ epoch: string; number: string }>('select epoch, number from head')
  return { epoch: Number(rows[0]?.epoch ?? 1), number: Number(rows[0]?.number ?? 0) }
}

async function ready(pool: pg.Pool): Promise<string | undefined> {
  try {
    await pool.query({ text: 'select 1', query_timeout: 2000 } as pg.QueryConfig)
    return undefined
  } catch {
    return 'the database does not answer'
  }
}

/** An administrator's token for programs on this machine (`cairn up`), readable by the owner of the data only. */
async function writeLocalToken(data: string, accounts: PrimaryAccounts, state: State): Promise<void> {
  const path = join(data, LOCAL_TOKEN_FILE)
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before !== undefined) return
  const user = state.access('user', FIRST_ADMINISTRATOR)
  if (!user) return
  const { value } = await accounts.lastingToken(user, `local ${randomUUID().slice(0, 8)}`)
  await writeFile(path, value, { mode: 0o600, flush: true })
}

function fleetUrl(settings: PrimarySettings): string {
  if (settings.fleetUrl !== undefined) {
    const named = settings.fleetUrl.replace(/^https:\/\//, '').replace(/\/$/, '')
    return /:\d+$/.test(named) ? `https://${named}` : `https://${named}:${settings.fleetPort}`
  }
  const any = settings.fleetHost === '0.0.0.0' || settings.fleetHost === '::'
  return `https://${any ? hostname() : settings.fleetHost}:${settings.fleetPort}`
}

function certificate(keys: PrimaryKeys, node: NodeRecord): Promise<string> {
  const iat = Math.floor(Date.now() / 1000)
  return issue(keys.log, {
    fleet: keys.fleet,
    sub: node.id,
    name: node.name,
    peer: node.peer,
    repositories: node.repositories,
    iat,
    exp: iat + CERTIFICATE_SECONDS,
    ...(node.ephemeral ? { key: node.publicKey } : {}),
  })
}

/** For the page: nodes that are, not those that were or may come. */
function card(node: NodeView): NodeCard[] {
  const { state } = node
  if (state === 'revoked' || state === 'key') return []
  const shown = {
    name: node.name,
    state,
    url: node.heartbeat?.url,
    version: node.heartbeat?.version,
    lag: node.lag,
    heardAgo: node.heardAt === undefined ? undefined : Date.now() - Date.parse(node.heardAt),
    cache: node.heartbeat?.cache,
  }
  return [shown]
}

/** Replies to what may change something say where the log stands, so that a node can wait until it has applied that. */
function withPosition(
  answer: (request: HttpRequest) => Promise<Reply> | Reply,
  state: State,
): (request: HttpRequest) => Promise<Reply> | Reply {
  const add = (reply: Reply): Reply => ({
    ...reply,
    headers: { [POSITION_HEADER]: `${state.head.epoch}.${state.head.number}`, ...reply.headers },
  })
  return (request) => {
    const reply = answer(request)
    if (request.method === 'GET' || request.method === 'HEAD') return reply
    return reply instanceof Promise ? reply.then(add) : add(reply)
  }
}

/** A client's request that came through a node: it is the client's own, seen from the node's address. */
async function forwarded(
  fleet: Fleet,
  request: HttpRequest,
  answer: (request: HttpRequest) => Promise<Reply> | Reply,
): Promise<Reply> {
  await fleet.member(request)
  const origin = request.headers.get(ORIGIN_HEADER) ?? ''
  if (!/^https?:\/\/[A-Za-z0-9.:[\]-]{1,255}$/.test(origin))
    throw new RegistryError('invalid', 'The node did not say where it is reached')
  const remote = request.headers.get('x-forwarded-for')?.split(',')[0]?.trim() ?? request.remote
  return answer(seenFrom(request, { origin, remote }))
}

function answered<T>(
  principal: T | Promise<T>,
  then: (principal: T) => Promise<Reply> | undefined,
): Promise<Reply> | undefined {
  return principal instanceof Promise ? principal.then((known) => then(known) ?? missing()) : then(principal)
}

function missing(): never {
  throw new RegistryError('missing', 'There is nothing at this address')
}
