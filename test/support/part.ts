/**
 * A primary or a node as a process of its own, for tests that kill it: `part.js primary|node <settings as JSON>`, told to its
 * parent by a message when it is ready. It ends cleanly with SIGTERM, and when its parent is gone.
 */
import { packageRoot } from '../../deploy/root.js'
import type { NodeSettings, PrimarySettings, Running } from '../../protocol/settings.js'

const VERSION = '0.0.0-test'

const [kind = '', settings = '{}'] = process.argv.slice(2)
const running = await (kind === 'primary' ? primary() : node())
const end = async (): Promise<void> => {
  await running.close()
  process.exit(0)
}
process.once('SIGTERM', () => void end())
process.once('disconnect', () => void end())
process.send?.({ url: running.url })

// Imported only where it is needed: half of a start is loading what it runs.
async function primary(): Promise<Running> {
  const { startPrimary } = await import('../../primary/main.js')
  return startPrimary(JSON.parse(settings) as PrimarySettings, { root: packageRoot(), version: VERSION })
}

async function node(): Promise<Running> {
  const { startNode } = await import('../../node/main.js')
  return startNode(JSON.parse(settings) as NodeSettings, { version: VERSION })
}
