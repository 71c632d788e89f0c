/** Runs benches one after the other, each with a rig of its own that is closed before the next begins. */
import type { Bench } from './bench.js'
import type { Reported } from './report.js'
import { Rig } from './rig/rig.js'

export interface RunOptions {
  quick: boolean
  full: boolean
  say(sentence: string): void
  onResult(result: Reported): void
  signal: AbortSignal
}

export async function runBenches(chosen: readonly Bench[], options: RunOptions): Promise<Reported[]> {
  const results: Reported[] = []
  for (const bench of chosen) {
    if (options.signal.aborted) break
    const result = await runOne(bench, options)
    results.push(result)
    options.onResult(result)
  }
  return results
}

async function runOne(bench: Bench, { quick, full, say, signal }: RunOptions): Promise<Reported> {
  const rig = new Rig()
  // What was started is ended at once; the bench then fails at whatever it was waiting for.
  const stop = () => void closing()
  let closed: Promise<unknown> | undefined
  const closing = () => {
    closed ??= rig.close().catch((error: unknown) => say(sentence(error)))
    return closed
  }
  signal.addEventListener('abort', stop)
  const startedAt = performance.now()
  const seconds = () => (performance.now() - startedAt) / 1000
  try {
    say(bench.title)
    const rows = await bench.run({ rig, quick, full, say: (text) => say(`  ${text}`) })
    return { bench: bench.name, rows, seconds: seconds() }
  } catch (error) {
    return { bench: bench.name, rows: [], seconds: seconds(), failed: signal.aborted ? 'interrupted' : sentence(error) }
  } finally {
    signal.removeEventListener('abort', stop)
    await closing()
  }
}

function sentence(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(sentence).join('; ')
  return error instanceof Error ? error.message : String(error)
}
