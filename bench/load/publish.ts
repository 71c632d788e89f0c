/** Clients that publish npm packages, as fast as they are acknowledged. Every body is made before the clock starts. */
import { Connection } from './connection.js'
import { PackageMaker } from './npm-package.js'

export interface PublishOptions {
  url: string
  /** Path of the registry, without a slash at the end: '' or '/repository/npm-local'. */
  registry: string
  authorization?: string
  clients: number
  count: number
  /** No publish begins later than this after the first. */
  maxSeconds?: number
  /** Of a tarball, about. */
  tarballBytes: number
  /** Begins the names of packages. */
  prefix: string
  versionsPerPackage: number
  /** Numbers of versions begin here. */
  firstVersion?: number
}

export interface PublishReport {
  /** Acknowledged. */
  count: number
  seconds: number
  /** Of each publish, in the order of acknowledgement. */
  ms: number[]
  /** Of one request's body, on average. */
  bodyBytes: number
}

interface Prepared {
  path: string
  body: Buffer
}

export async function publish(options: PublishOptions): Promise<PublishReport> {
  const queue = prepare(options)
  const bodyBytes = queue.reduce((sum, { body }) => sum + body.length, 0) / queue.length
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (options.authorization !== undefined) headers.authorization = options.authorization
  const connections = Array.from({ length: options.clients }, () => new Connection(options.url))
  await Promise.all(connections.map((connection) => connection.open()))
  const ms: number[] = []
  const startedAt = performance.now()
  const endAt = startedAt + (options.maxSeconds ?? Number.POSITIVE_INFINITY) * 1000
  const client = async (connection: Connection) => {
    for (let next = queue.shift(); next && performance.now() < endAt; next = queue.shift()) {
      const answer = await connection.request({ method: 'PUT', path: next.path, headers, body: next.body, keep: true })
      if (answer.status >= 300)
        throw new Error(`PUT ${next.path} answered ${answer.status}: ${answer.body.toString('utf8').slice(0, 300)}`)
      ms.push(answer.ms)
    }
  }
  try {
    await Promise.all(connections.map(client))
  } finally {
    for (const connection of connections) connection.close()
  }
  return { count: ms.length, seconds: (performance.now() - startedAt) / 1000, ms, bodyBytes }
}

/** Versions of one package are as far apart as possible, so that clients seldom meet in one. */
function prepare({
  registry,
  count,
  tarballBytes,
  prefix,
  versionsPerPackage,
  firstVersion = 0,
}: PublishOptions): Prepared[] {
  const maker = new PackageMaker(tarballBytes)
  const packages = Math.ceil(count / versionsPerPackage)
  return Array.from({ length: count }, (_, i) => {
    const name = `${prefix}-${i % packages}`
    const version = `1.${firstVersion + Math.floor(i / packages)}.0`
    return { path: `${registry}/${name}`, body: maker.publish(name, version) }
  })
}
