/** One line on a terminal that says how far a transfer is. Nobody watches: nothing is written. Driven by bytes, no timer. */
import type { Terminal } from '../terminal.js'
import { size } from '../terminal.js'

export interface Progress {
  /** Bytes that are done by now. */
  at(done: number): void
  /** Removes the line. */
  end(): void
}

const EVERY_MS = 100
const BAR = 24

export function progress(
  label: string,
  total: number | undefined,
  terminal: Pick<Terminal, 'err' | 'watched'>,
  nowMs: () => number = Date.now,
): Progress {
  if (!terminal.watched) return { at: () => undefined, end: () => undefined }
  const startedMs = nowMs()
  let shownMs = 0
  let from: number | undefined
  return {
    at: (done) => {
      from ??= done
      const now = nowMs()
      if (now - shownMs < EVERY_MS) return
      shownMs = now
      const perSecond = ((done - from) * 1000) / Math.max(1, now - startedMs)
      terminal.err.write(`\r\x1b[K${line(label, done, total, perSecond)}`)
    },
    end: () => {
      if (shownMs > 0) terminal.err.write('\r\x1b[K')
    },
  }
}

export function line(label: string, done: number, total: number | undefined, perSecond: number): string {
  const rate = `${size(perSecond)}/s`
  if (total === undefined) return `${label}  ${size(done)}  ${rate}`
  const share = total === 0 ? 1 : Math.min(1, done / total)
  const filled = Math.round(share * BAR)
  const bar = `[${'='.repeat(filled)}${' '.repeat(BAR - filled)}]`
  return `${label}  ${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${size(done)} of ${size(total)}  ${rate}`
}
