/**
 * What asks a process to end. The first signal asks for a clean end, one that comes later for an immediate end. Signals within
 * a moment are one: npm passes on a Ctrl-C that the terminal has sent to the program already. Listened to until the process is
 * gone: one that comes while it leaves changes nothing.
 */
export interface Ending {
  first: Promise<void>
  second: Promise<void>
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const SAME_MS = 300

export function endingSignals(nowMs: () => number = Date.now): Ending {
  const [first, second] = [once(), once()]
  let firstMs: number | undefined
  const seen = (): void => {
    firstMs ??= nowMs()
    if (nowMs() - firstMs > SAME_MS) second.happen()
    first.happen()
  }
  for (const name of SIGNALS) process.on(name, seen)
  return { first: first.happened, second: second.happened }
}

function once(): { happened: Promise<void>; happen: () => void } {
  let happen = (): void => undefined
  const happened = new Promise<void>((resolve) => {
    happen = resolve
  })
  return { happened, happen: () => happen() }
}
