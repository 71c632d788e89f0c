/**
 * A primary or a node as a process: claims its data, starts, and ends cleanly when it is asked to; when asked a second time, at
 * once.
 */
import type { Running } from '../protocol/settings.js'
import { claim, type PartName } from './claim.js'
import { EXIT } from './exit-code.js'
import { endingSignals } from './signals.js'

/** Returns when the part has ended. A signal that comes while it starts counts once it has started. */
export async function runPart<R extends Running>(
  part: PartName,
  data: string,
  start: () => Promise<R>,
  ready: (running: R) => void,
): Promise<void> {
  const ending = endingSignals()
  void ending.second.then(() => process.exit(EXIT.failed))
  const claimed = await claim(data, part)
  try {
    const running = await start()
    ready(running)
    await ending.first
    await running.close()
  } finally {
    await claimed.release()
  }
}
