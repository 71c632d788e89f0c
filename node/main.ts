/**
 * A node, composed. Reads from top to bottom as its architecture: identity, link to the primary, replica, cache and mesh, gate,
 * repositories (each a remote of the primary), and the port that clients talk to. Nothing here needs the primary to start.
 */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { formats } from '../formats/index.js'
import { Gate } from '../protocol/access/gate.js'
import { TokenUses } from '../protocol/access/uses.js'
import { matcher } from '../protocol/api/match.js'
import { openApiEndpoint } from '../protocol/api/openapi.js'
import { proofEndpoints } from '../protocol/api/proofs.js'
import { readEndpoints } from '../protocol/api/reads.js'
import { serveApi } from '../protocol/api/serve.js'
import { app, type Handler } from '../protocol/app/app.js'
import { Scrubber } from '../protocol/blobs/scrub.js'
import { RegistryError } from '../protocol/errors.js'
import { matchesAny } from '../protocol/glob.js'
import { advertised } from '../protocol/http/origin.js'
import { parsePath } from '../protocol/http/path.js'
import { rateLimited } from '../protocol/http/rate-limit.js'
import type { Reply } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import { serve } from '../protocol/http/server.js'
import { Hosted, type HostedParts } from '../protocol/kinds/hosted.js'
import { Listings } from '../protocol/kinds/listing.js'
import { Remote } from '../protocol/kinds/remote.js'
import { publicKeyObject } from '../protocol/log/checkpoint.js'
import { Prover } from '../protocol/log/prover.js'
import { type DestinationStream, errorFields, logger, logRequest } from '../protocol/observe/log.js'
import { Metrics } from '../protocol/observe/metrics.js'
import type { Accounts, Blobs } from '../protocol/ports.js'
import { FLEET, type RepositoryRecord } from '../protocol/records.js'
import { Registry } from '../protocol/registry.js'
import type { NodeSettings, Running } from '../protocol/settings.js'
import { Beat, type Learned } from './beat.js'
import { NodeBlobs } from './blobs.js'
import { Cache } from './cache.js'
import { DownloadCounts } from './downloads.js'
import { Holdings } from './holdings.js'
import { identity, saveIdentity } from './identity.js'
import { ReceivedBlobs } from './lease/bytes.js'
import { Leasing } from './lease/leasing.js'
import { Pending } from './lease/pending.js'
import { Returning } from './lease/returning.js'
import { Lending } from './lending.js'
import { LinkBytes } from './link/bytes.js'
import { forward } from './link/forward.js'
import { Link } from './link/link.js'
import { LinkOrigin } from './link/origin.js'
import { remembering } from './mesh/entitlements.js'
import { Limits } from './mesh/limits.js'
import { Mesh } from './mesh/mesh.js'
import { Prefetch } from './prefetch.js'
import { Follow } from './replica/follow.js'
import type { Clock } from './replica/knowledge.js'
import { Mender } from './replica/mending.js'
import { RangeFetch } from './replica/range-fetch.js'
import { Replica } from './replica/replica.js'
import { logPeers, logSources } from './replica/sources.js'
import { tellLog } from './replica/telling.js'
import { rescuing } from './rescuing.js'

const INDEX_CACHE_BYTES = 48 * 1024 * 1024
const LISTINGS_BYTES = 64 * 1024 * 1024
/** The primary remembers absences for longer. */
const ABSENT_MS = 5_000
const GRACE_MS = 5_000
/** Changes; more are not the few that are always under way. */
const MAX_BEHIND = 1000
/** The least that a primary keeps what was removed. */
const RESTORE_MS = 82_800_000

export interface NodeProgram {
  version: string
  /** Default the machine's. */
  clock?: Clock
  /** Default standard output. */
  logTo?: DestinationStream
}

export async function startNode(settings: NodeSettings, program: NodeProgram): Promise<Running> {
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
  settings: NodeSettings,
  { version, clock, logTo }: NodeProgram,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Running> {
  let self = await identity(settings.data, settings.join, settings.name)
  const log = logger('node', settings.logLevel, logTo).child({ node: self.name })
  const alarm = (sentence: string) => log.error({ alarm: true }, sentence)

  const link = new Link({
    url: self.url,
    pin: self.pin,
    identity: {
      key: self.key,
      node: self.node,
      fleet: self.fleet,
      ...(self.ephemeral ? { certificate: () => self.certificate } : {}),
    },
    now: Date.now,
  })
  closers.push(() => link.close())

  const pending = await Pending.open(join(settings.data, 'pending'))
  closers.push(() => pending.close())

  const logKey = Buffer.from(self.logKey, 'base64url')
  const replica = await Replica.open({
    dir: join(settings.data, 'replica'),
    fleet: self.fleet,
    publicKey: logKey,
    onAlarm: alarm,
    ...(clock ? { clock } : {}),
    over: (rows) => pending.over(rows),
  })
  closers.push(() => replica.close())
  const { state } = replica
  const prover = new Prover({ log: replica.heldLog, metadata: state, fleet: self.fleet, publicKey: logKey })
  const logTime = () => new Date(replica.highest?.time ?? 0)

  const mesh = new Mesh({
    seed: Buffer.from(self.seed, 'base64url'),
    keyring: { fleet: self.fleet, keys: [publicKeyObject(logKey)] },
    certificate: () => self.certificate,
    logTime,
    revoked: (certificate) => state.access('node', certificate.sub)?.revoked === true,
    listen: [`/ip4/${settings.meshHost}/tcp/${settings.meshPort}`],
    bulk: { host: settings.meshHost, port: settings.bulkPort },
    mdns: settings.mdns,
    site: settings.site,
    onFault: (sentence, error) => log.warn(errorFields(error), sentence),
  })
  const covers = (repositories: readonly string[], scope: string) => {
    const repository = state.scope(scope)
    return scope === FLEET || (repository !== undefined && matchesAny(repositories, repository.key))
  }
  const isStale = (scope: string) => {
    const repository = state.scope(scope)
    return repository !== undefined && gate.stale(repository) !== undefined
  }
  const cache = await Cache.open(join(settings.data, 'cache'), {
    limit: settings.cacheBytes,
    reverifyMs: settings.reverifySeconds * 1000,
  })
  closers.push(() => cache.close())
  const primary = new LinkBytes(link)
  const entitled = remembering(
    async (certificate, scope, digest) =>
      covers(certificate.repositories, scope) && (await registry.passes(scope, digest))
        ? replica.held(scope, digest)
        : undefined,
    () => state.head.epoch * 2 ** 40 + state.head.number,
  )
  const blobs = new NodeBlobs({
    cache,
    mesh,
    primary,
    limits: new Limits(
      { upload: settings.uploadRate, download: settings.downloadRate, link: settings.linkRate },
      Date.now,
    ),
    entitled: (...asked) => (isStale(asked[1]) ? undefined : entitled(...asked)),
    covers: (certificate, scope) => covers(certificate.repositories, scope),
  })
  closers.push(() => blobs.close())
  const scrubber = new Scrubber({
    disk: cache.disk,
    metadata: state,
    holders: (digest) => replica.holders(digest),
    bytesPerSecond: settings.scrubRate,
    onDone: (done) => log.info({ ...done }, 'the cache was read again'),
    onError: (error) => log.warn(errorFields(error), 'the cache was not read again to its end'),
  })
  if (settings.scrubRate > 0) scrubber.start()
  closers.push(() => scrubber.close())

  const lending = new Lending({
    link,
    cache,
    held: (scope, digest) => replica.held(scope, digest),
    onError: (error) => log.info(errorFields(error), 'the primary could not be given a piece'),
  })
  const seesAll = () => self.repositories.includes('*')
  const ranges = new RangeFetch({
    sources: () => logSources(mesh, link, self.repositories, replica),
    held: (start, end) => replica.entries(start, end),
    blame: (name) => mesh.blame(name, 'wrong_range'),
    seesAll,
    log: (sentence, error) => log.warn(errorFields(error), sentence),
    nowMs: Date.now,
  })
  const holdings = new Holdings({
    link,
    cache,
    site: settings.site,
    onError: (error) => log.info(errorFields(error), 'the primary could not be told what is in the cache'),
  })
  const follow = new Follow({
    onNotice: (notice) => {
      lending.hear(notice)
      holdings.hear(notice)
    },
    replica,
    link,
    gossip: { publish: (bytes) => mesh.publish(bytes) },
    peers: () => logPeers(mesh, self.repositories),
    seesAll,
    ranges,
    isPublic: (scope) => scope === FLEET || state.scope(scope)?.public === true,
    log: (sentence, error) => log.warn(errorFields(error), sentence),
  })
  const mender = new Mender({
    replica,
    ranges,
    bytesPerSecond: settings.scrubRate,
    onError: (error) => log.info(errorFields(error), 'the log that is held was not looked through to its end'),
  })
  if (settings.scrubRate > 0) mender.start()
  closers.push(() => mender.close())
  mesh.onGossip((bytes) => follow.hear(bytes))
  tellLog(mesh, replica, (from, scope) => {
    if (!covers(from.certificate.repositories, scope)) return false
    // Left out, it would be missing there for good.
    if (isStale(scope)) throw new RegistryError('unavailable', 'What is known here is too old to be passed on')
    return true
  })
  const uses = new TokenUses()
  const gate = new Gate(
    state,
    { verify: (user, password, remote) => passwordAtPrimary(link, user, password, remote) },
    {
      anonymousReads: settings.anonymous,
      nowMs: () => replica.nowMs,
      stale: (repository) => replica.stale(repository),
      uses,
    },
  )
  const accounts = readOnly(state)
  const downloads = new DownloadCounts()
  const metrics = new Metrics('node')
  const forwarding = (request: HttpRequest) =>
    forward(request, { link, reached: (position, timeoutMs) => replica.reached(position, timeoutMs) })
  const listings = new Listings(LISTINGS_BYTES)
  const origin = new LinkOrigin({
    link,
    reached: (position, timeoutMs) => replica.reached(position, timeoutMs),
    recorded: (scope, path, timeoutMs) => replica.recorded(scope, path, timeoutMs),
    open: (file, scope) => blobs.open(file, scope),
    take: (body, size) => blobs.take(body, size),
  })
  const holds = (record: RepositoryRecord) => matchesAny(self.repositories, record.key)
  const leasing = new Leasing({
    node: self.node,
    pending,
    state,
    nowMs: () => replica.nowMs,
    sound: () => replica.current && replica.contradiction === undefined,
    reachable: () => link.reachable,
    holds,
    onAlarm: alarm,
  })
  await leasing.start()
  closers.push(() => leasing.close())
  const received = new ReceivedBlobs(pending.disk, blobs)
  await received.start()
  const publishing: HostedParts = {
    blobs: received,
    ledger: leasing,
    now: () => new Date(replica.nowMs).toISOString(),
    maxUploadBytes: settings.maxUploadBytes,
    restoreMs: RESTORE_MS,
  }
  const registry = new Registry({
    metadata: state,
    access: gate,
    accounts: () => accounts,
    formats,
    open: (record) => {
      const { upstream, grammar } = formats.find(({ name }) => name === record.format) ?? {}
      if (record.type === 'local') return new Hosted(record, state, { ...publishing, nameOf: grammar?.name })
      if (record.type !== 'remote' || !upstream) return new Remote(record, state, blobs, undefined, grammar?.name)
      return new Remote(record, state, blobs, { origin, upstream, listings, nowMs: Date.now, absentMs: ABSENT_MS })
    },
    holds,
    primary: {
      get reachable() {
        return link.reachable
      },
      forward: forwarding,
      takes: (record, name) => leasing.takes(record, name),
    },
    count: (record, path) => downloads.count(record.scope, path),
    holders: async (digest) => [...pending.holders(digest), ...(await replica.holders(digest))],
    onError: (error, request) => log.error({ id: request.id, ...errorFields(error) }, 'request failed'),
    cacheBytes: INDEX_CACHE_BYTES,
  })
  // Peers are answered by the rules, which the registry knows.
  await mesh.start()
  closers.push(() => mesh.close())

  const prefetch = new Prefetch({
    metadata: state,
    blobs: received,
    passes: (scope, digest) => registry.passes(scope, digest),
    pins: cache,
    now: () => new Date(),
    onError: (error) => log.warn(errorFields(error), 'a blob could not be fetched ahead'),
  })
  state.onChange((change) => prefetch.note(change))
  closers.push(() => prefetch.close())

  const returning = new Returning({
    pending,
    leasing,
    link,
    bytes: received,
    reached: (position, timeoutMs) => replica.reached(position, timeoutMs),
    keep: (bytes) => blobs.take(bytes.read(), bytes.size),
    onAlarm: alarm,
    onError: (error) =>
      link.reachable && log.warn(errorFields(error), 'what waits for the primary was not brought back'),
  })
  metrics.gauge('cairn_pending', 'Publishes that wait for the primary.', () => pending.entries.length)
  metrics.gauge('cairn_log_number', 'Number of the newest change that was applied.', () => state.head.number)
  metrics.gauge('cairn_knowledge_age_seconds', 'Since there were news of the primary.', () => replica.ageMs / 1000)
  metrics.gauge('cairn_primary_reachable', '1 while the primary can be reached.', () => Number(link.reachable))
  metrics.gauge('cairn_log_contradiction', '1 once the primary signed what contradicts itself.', () =>
    Number(replica.contradiction !== undefined),
  )
  metrics.gauge('cairn_scrubbed_bytes_total', 'Bytes of the disk that were read again.', () => scrubber.bytes)
  metrics.gauge('cairn_log_mended_total', 'Entries of the log that the disk lost and others gave.', () => mender.mended)
  metrics.gauge('cairn_log_received_bytes_total', 'Bytes of parts of the log that were fetched.', () => ranges.received)
  metrics.gauge('cairn_log_refused_total', 'Answers about the log that were wrong.', () => ranges.refusals.wrong)
  metrics.gauge('cairn_log_silent_total', 'Answers about the log that did not come.', () => ranges.refusals.silent)
  metrics.gauge('cairn_peers', 'Connected peers.', () => mesh.peers().length)
  metrics.gauge('cairn_peer_received_bytes_total', 'Bytes of pieces that peers sent.', () => blobs.received)
  metrics.gauge('cairn_peer_sent_bytes_total', 'Bytes of pieces that peers were sent.', () => blobs.served)
  metrics.gauge('cairn_primary_received_bytes_total', 'Bytes of blobs that the primary sent.', () => primary.received)
  metrics.gauge('cairn_cache_used_bytes', 'Bytes that cached blobs take.', () => cache.used)
  metrics.gauge('cairn_cache_limit_bytes', 'Bytes that cached blobs may take.', () => cache.limit)

  const rescue = rescuing({ node: self.node, name: self.name, fleet: self.fleet, replica, nowMs: Date.now })
  const answer = app({
    handlers: [rescue, restApi({ state, gate, registry, blobs: received, replica, prover, version, forwarding })],
    registry,
    metrics,
    log,
    health: () => ({
      part: 'node',
      node: self.name,
      version,
      fleet: self.fleet,
      number: state.head.number,
      primary: link.reachable ? 'reachable' : 'unreachable',
      peers: mesh.peers().length,
      log_number: replica.highest?.number ?? null,
      log_time: replica.highest?.time ?? null,
      alarm: replica.contradiction?.sentence ?? null,
      pending: pending.entries.length,
      refused: [...returning.refused.values()],
    }),
    ready: async () => unready(replica, link.reachable),
  })
  const userOf = (authorization: string) => gate.known(authorization)?.name
  const listening = await serve(
    {
      host: settings.host,
      port: settings.port,
      tls: settings.tls,
      onTlsFault: (error) => log.warn(errorFields(error), 'the certificate was not renewed'),
      publicUrls: settings.publicUrls,
      trustedProxies: settings.trustedProxies,
      log: (line) => {
        metrics.request(line.method, line.status, line.ms, line.bytes)
        logRequest(log, line)
      },
    },
    withFreshness(rateLimited(answer, { limits: settings.rates, userOf, nowMs: Date.now }), replica, link),
  )
  closers.push(() => listening.close({ graceMs: GRACE_MS }))
  const url = advertised({ ...settings, scheme: settings.tls ? 'https' : 'http', port: listening.port })

  const learn = async (learned: Learned) => {
    mesh.introduce(learned.peers.map(({ peer, addresses }) => ({ peer, addresses })))
    await prefetch.learn(learned.policies, learned.syncRequestedAt)
    if (!link.reachable) return
    if (!isDeepStrictEqual(learned.repositories, self.repositories)) await follow.seeAnew()
    if (certificateIsOld(self.certificate, logTime(), learned.repositories)) {
      const { certificate } = (await link.json('POST', '/fleet/v1/renew')) as { certificate: string }
      self = { ...self, certificate, repositories: learned.repositories }
      await saveIdentity(settings.data, self)
      await mesh.renew()
    }
  }
  const beat = new Beat({
    dir: settings.data,
    link,
    downloads,
    uses,
    status: () => ({
      position: state.head,
      addresses: mesh.addresses.map((address) => address.replace(/\/p2p\/[^/]+$/, '')),
      url,
      cache: { used: cache.used, limit: cache.limit },
      peers: mesh.peers().length,
      version,
      contradiction: replica.contradiction,
    }),
    learn,
    onError: (error) => link.reachable && log.warn(errorFields(error), 'the heartbeat was not taken'),
  })
  state.onChange((change) => change.kind === 'access' && change.subject === 'node' && mesh.review())
  replica.start()
  follow.start()
  closers.push(() => follow.close())
  await beat.start()
  closers.push(() => beat.close())
  returning.start()
  closers.push(() => returning.close())
  log.info({ port: listening.port, peer: mesh.self, number: state.head.number }, 'node is ready')
  return { url: listening.url, close }
}

/** Why it serves nobody yet. One that is cut off serves what it has. */
function unready({ highest, state }: Replica, reachable: boolean): string | undefined {
  if (highest === undefined) return 'this node has not heard of its fleet yet'
  const behind = highest.number - state.head.number
  return reachable && behind > MAX_BEHIND ? `this node is ${behind} changes behind` : undefined
}

/** What a node can answer it answers; everything else of the interface goes to the primary. */
function restApi(parts: {
  state: Replica['state']
  gate: Gate
  registry: Registry
  blobs: Blobs
  replica: Replica
  prover: Prover
  version: string
  forwarding: (request: HttpRequest) => Promise<Reply>
}): Handler {
  const { state, gate, registry, blobs, replica, prover, version, forwarding } = parts
  const reads = [
    ...readEndpoints({
      metadata: state,
      gate,
      formats,
      open: (record, principal) => registry.repository(record, principal),
      members: (record) => registry.members(record),
      merges: (record, name) => registry.merges(record, name),
      file: (repository, file, request) => registry.file(repository, file, request),
      blobs,
      holders: (digest) => replica.holders(digest),
    }),
    ...proofEndpoints({ metadata: state, gate, prover }),
  ]
  const api = serveApi([...reads, openApiEndpoint(() => ({ version, endpoints: reads }))], { metadata: state, gate })
  const asked = matcher(reads.filter(({ asks }) => asks))
  return (request) => {
    // Whoever provisions users reads and writes at the primary.
    if (request.path.startsWith('/scim/')) return forwarding(request)
    if (!request.path.startsWith('/api/v1/')) return undefined
    const reading = request.method === 'GET' || request.method === 'HEAD'
    if (!reading && asked(parsePath(request.path).path).length === 0) return forwarding(request)
    const credentials = request.headers.get('authorization')
    const principal = credentials === undefined ? gate.anonymous : gate.authenticate(credentials, request.remote)
    const run = (known: Awaited<typeof principal>) => api(request, known) ?? forwarding(request)
    return principal instanceof Promise ? principal.then(run) : run(principal)
  }
}

async function passwordAtPrimary(link: Link, user: string, password: string, remote = ''): Promise<boolean> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  try {
    await link.json('POST', '/fleet/v1/authenticate', { authorization, remote })
    return true
  } catch (error) {
    if (error instanceof RegistryError && error.kind === 'unauthenticated') return false
    throw error
  }
}

/** Formats' account routes write at the primary only, so these are never reached but for the list, and where names are on lease. */
function readOnly(state: Replica['state']): Accounts {
  const refuse = () =>
    Promise.reject(new RegistryError('unavailable', 'Accounts are changed at the primary, which cannot be reached'))
  return {
    login: refuse,
    createToken: refuse,
    revokeToken: refuse,
    session: refuse,
    exchange: refuse,
    tokens: ({ user }) =>
      user ? state.accessAll('token').filter((token) => token.user === user.name && token.use === 'api') : [],
  }
}

/** Replies say how old this node's knowledge is while it cannot ask. Laid out once per reply, since being cut off must not be slow. */
function withFreshness(
  answer: (request: HttpRequest) => Promise<Reply> | Reply,
  replica: Replica,
  link: Link,
): (request: HttpRequest) => Promise<Reply> | Reply {
  const known = new WeakMap<Reply, { asOf: string; reply: Reply }>()
  const add = (reply: Reply): Reply => {
    const asOf = replica.highest?.time ?? 'never'
    const before = known.get(reply)
    if (before?.asOf === asOf) return before.reply
    const marked = { ...reply, headers: { ...reply.headers, 'x-cairn-cut-off': 'true', 'x-cairn-as-of': asOf } }
    if (!Object.isFrozen(reply)) return marked
    const frozen = Object.freeze({ ...marked, headers: Object.freeze(marked.headers) })
    known.set(reply, { asOf, reply: frozen })
    return frozen
  }
  return (request) => {
    const reply = answer(request)
    if (link.reachable) return reply
    return reply instanceof Promise ? reply.then(add) : add(reply)
  }
}

/** Past half its life by log time, or for other repositories than it should name. */
function certificateIsOld(text: string, now: Date, repositories: string[]): boolean {
  const claims = JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
    iat: number
    exp: number
    repositories: string[]
  }
  return now.getTime() / 1000 > (claims.iat + claims.exp) / 2 || !isDeepStrictEqual(claims.repositories, repositories)
}
