/** Servers for tests: on a free port of the loopback, closed when the test ends. */
import type { TestContext } from 'node:test'
import type { Handle } from '../../../protocol/http/dispatcher.js'
import { type Listening, type ServeOptions, serve } from '../../../protocol/http/server.js'

export async function serving(t: TestContext, handle: Handle, options: Partial<ServeOptions> = {}): Promise<Listening> {
  const listening = await serve({ host: '127.0.0.1', port: 0, publicUrls: [], trustedProxies: [], ...options }, handle)
  t.after(() => listening.close({ graceMs: 0 }))
  return listening
}

export interface Gate<T> {
  readonly opened: Promise<T>
  open(value: T): void
}

/** Something that happens once, and that others wait for. */
export function gate<T = undefined>(): Gate<T> {
  let open: (value: T) => void = () => undefined
  const opened = new Promise<T>((resolve) => {
    open = resolve
  })
  return { opened, open }
}
