/**
 * Where tests end this process as a power cut would: `CAIRN_FAILPOINT=<name>:crash` kills it with SIGKILL the first time that it
 * comes to the named step. Without that variable a step costs one comparison. It does nothing but crash.
 */

/** The steps between a client's bytes and everybody seeing them, in order. */
export const FAILPOINTS = [
  'bytes-synced',
  'blob-renamed',
  'names-synced',
  'before-commit',
  'committed',
  'before-sign',
  'before-feed',
  'before-apply',
  'applied',
] as const

export type Failpoint = (typeof FAILPOINTS)[number]

const armed = armedBy(process.env.CAIRN_FAILPOINT)

export function failpoint(name: Failpoint): void {
  if (armed === name) process.kill(process.pid, 'SIGKILL')
}

/** A name that is none is refused: the test that set it would otherwise pass without having tested anything. */
export function armedBy(setting: string | undefined): Failpoint | undefined {
  if (setting === undefined || setting === '') return undefined
  const found = FAILPOINTS.find((name) => setting === `${name}:crash`)
  if (!found) throw new Error(`CAIRN_FAILPOINT=${setting}: there is no such step`)
  return found
}
