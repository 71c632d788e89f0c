/**
 * A primary or a node as a process of its own, for tests that kill it: `part.js primary|node <settings as JSON>`, told to its
 * parent by a message when it is ready. It ends cleanly with SIGTERM, and when its parent is gone.
 */
import { packageRoot } from '../../deploy/root.js'
import { startNode } from '../../node/main.js'
import { startPrimary } from '../../primary/main.js'
import type { NodeSettings, PrimarySettings } from '../../protocol/settings.js'

const VERSION = '0.0.0-test'

const [kind = '', settings = '{}'] = process.argv.slice(2)
const running =
  kind === 'primary'
    ? await startPrimary(JSON.parse(settings) as PrimarySettings, { root: packageRoot(), version: VERSION })
    : await startNode(JSON.parse(settings) as NodeSettings, { version: VERSION })
const end = async (): Promise<void> => {
  await running.close()
  process.exit(0)
}
process.once('SIGTERM', () => void end())
process.once('disconnect', () => void end())
process.send?.({ url: running.url })
