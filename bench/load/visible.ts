/** Publishes one package after the other and asks every node for it, at most a millisecond apart, until all have it. */
import { Connection } from './connection.js'
import { PackageMaker } from './npm-package.js'

export interface VisibleOptions {
  primary: string
  nodes: string[]
  /** Path of the registry, without a slash at the end. */
  registry: string
  authorization: string
  count: number
  tarballBytes: number
  prefix: string
  /** Between one publish that is seen everywhere and the next. */
  pauseMs: number
  deadlineMs: number
}

export interface VisibleReport {
  publishes: {
    /** From sending the publish to its acknowledgement. */
    acknowledgedMs: number
    /** From sending the publish until each node has answered 200. */
    visibleMs: number[]
  }[]
}

const POLL_MS = 1

export async function visible(options: VisibleOptions): Promise<VisibleReport> {
  const maker = new PackageMaker(options.tarballBytes)
  const primary = new Connection(options.primary)
  const nodes = options.nodes.map((url) => new Connection(url))
  const report: VisibleReport = { publishes: [] }
  const headers = { 'content-type': 'application/json', authorization: options.authorization }
  for (let i = 0; i < options.count; i++) {
    const name = `${options.prefix}-${i}`
    const path = `${options.registry}/${name}`
    const body = maker.publish(name, '1.0.0')
    const sentAt = performance.now()
    const answer = await primary.request({ method: 'PUT', path, headers, body, keep: true })
    if (answer.status >= 300)
      throw new Error(`PUT ${path} answered ${answer.status}: ${answer.body.toString('utf8').slice(0, 300)}`)
    const acknowledgedMs = performance.now() - sentAt
    const visibleMs = await Promise.all(nodes.map((node) => seen(node, path, sentAt, options.deadlineMs)))
    report.publishes.push({ acknowledgedMs, visibleMs })
    await pause(options.pauseMs)
  }
  for (const connection of [primary, ...nodes]) connection.close()
  return report
}

async function seen(node: Connection, path: string, sentAt: number, deadlineMs: number): Promise<number> {
  for (;;) {
    const { status } = await node.request({ path })
    const passed = performance.now() - sentAt
    if (status === 200) return passed
    if (status !== 404) throw new Error(`a node answered ${status} for ${path}`)
    if (passed > deadlineMs) throw new Error(`${path} was not visible within ${deadlineMs} ms`)
    await pause(POLL_MS)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
