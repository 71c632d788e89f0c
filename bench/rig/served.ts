/** Starts a server and waits until it answers, or says how it ended. */
import { type Child, start } from './child.js'
import type { Rig } from './rig.js'
import { answers, until } from './until.js'

export interface Served {
  command: string
  args: readonly string[]
  env?: NodeJS.ProcessEnv
  /** Answers 200 when the server is ready. */
  ready: string
  deadlineMs: number
}

export async function serve(rig: Rig, { command, args, env, ready, deadlineMs }: Served): Promise<Child> {
  const child = await start(rig, command, args, env ? { env } : {})
  await untilReady(child, [ready], deadlineMs)
  return child
}

/** Throws with its last words when the process ends before all of the addresses answer 200. */
export async function untilReady(child: Child, urls: readonly string[], deadlineMs: number): Promise<void> {
  let ended: number | string | undefined
  child.ended.then((code) => {
    ended = code
  })
  const alive = () => {
    if (ended !== undefined) throw new Error(`process ${child.pid} ended (${ended}): ${child.lastWords()}`)
  }
  for (const url of urls) await until(() => answers(url), { what: `${url} answering`, deadlineMs, alive })
}

/** For what may not be installed: undefined instead of the error. */
export function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
