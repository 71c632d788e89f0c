/**
 * Prometheus metrics. Requests are counted in plain arrays on the hot path and only turned into samples when scraped. Labels are
 * method and status, never a path, a user or a repository: their number is bounded.
 */
import { collectDefaultMetrics, Gauge, Registry as PromRegistry } from 'prom-client'

const BOUNDS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30]
const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'])
const EVENT_LOOP_MS = 250

interface Series {
  labels: { method: string; status: number }
  buckets: number[]
  count: number
  sum: number
  bytes: number
}

export class Metrics {
  readonly #registry = new PromRegistry()
  readonly #series = new Map<string, Series>()

  constructor(part: 'primary' | 'node') {
    this.#registry.setDefaultLabels({ part })
    // Its own 10 ms would wake an idle process a hundred times a second.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: EVENT_LOOP_MS })
    this.#registry.registerMetric(this.#histogram() as never)
  }

  request(method: string, status: number, ms: number, bytes: number): void {
    const known = METHODS.has(method) ? method : 'OTHER'
    const key = known + status
    let series = this.#series.get(key)
    if (!series) {
      series = { labels: { method: known, status }, buckets: BOUNDS_S.map(() => 0), count: 0, sum: 0, bytes: 0 }
      this.#series.set(key, series)
    }
    const seconds = ms / 1000
    for (let i = BOUNDS_S.length - 1; i >= 0 && seconds <= (BOUNDS_S[i] ?? 0); i--)
      series.buckets[i] = (series.buckets[i] ?? 0) + 1
    series.count++
    series.sum += seconds
    series.bytes += bytes
  }

  /** A number that is read when somebody scrapes. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      async collect() {
        this.set(await read())
      },
    })
  }

  async text(): Promise<string> {
    return this.#registry.metrics()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** In the shape that prom-client's registry reads. */
  #histogram() {
    const name = 'http_request_duration_seconds'
    return {
      name,
      reset: () => this.#series.clear(),
      get: async () => ({
        name,
        help: 'Duration of HTTP requests.',
        type: 'histogram',
        aggregator: 'sum',
        values: [...this.#series.values()].flatMap((series) => [
          ...BOUNDS_S.map((le, i) => ({
            metricName: `${name}_bucket`,
            labels: { le, ...series.labels },
            value: series.buckets[i] ?? 0,
          })),
          { metricName: `${name}_bucket`, labels: { le: '+Inf', ...series.labels }, value: series.count },
          { metricName: `${name}_sum`, labels: series.labels, value: series.sum },
          { metricName: `${name}_count`, labels: series.labels, value: series.count },
        ]),
      }),
    }
  }
}
