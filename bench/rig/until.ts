/** Waits until a check holds, asking again and again. */

export interface Until {
  /** In words, for the error. */
  what: string
  deadlineMs: number
  everyMs?: number
  /** Throws when waiting has become useless. */
  alive?: () => void
}

export async function until(
  check: () => Promise<boolean>,
  { what, deadlineMs, everyMs = 25, alive }: Until,
): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await check().catch(() => false))) {
    alive?.()
    if (performance.now() > end) throw new Error(`${what} did not happen within ${deadlineMs / 1000} s`)
    await pause(everyMs)
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export async function answers(url: string): Promise<boolean> {
  const reply = await fetch(url, { signal: AbortSignal.timeout(2000) })
  await reply.arrayBuffer()
  return reply.status === 200
}
