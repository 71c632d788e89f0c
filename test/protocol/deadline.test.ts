import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { deadline } from '../../protocol/deadline.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

describe('a deadline', () => {
  it('passes though nobody but who waits remembers it, alone and among other signals', async () => {
    const never = new AbortController()
    const aborted = Array.from({ length: 20 }, (_, i) => {
      const signal = i % 2 === 0 ? deadline(200) : AbortSignal.any([never.signal, deadline(200, never.signal)])
      return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    })
    const collecting = setInterval(collectGarbage, 20)
    await Promise.all(aborted).finally(() => clearInterval(collecting))
  })

  it('says that it was one, and gives way to another signal', async () => {
    const stop = new AbortController()
    const signal = deadline(60_000, stop.signal)
    stop.abort(new Error('enough'))
    assert.equal((signal.reason as Error).message, 'enough')
    const late = deadline(1)
    const waiting = setInterval(() => undefined, 1000)
    await new Promise<void>((resolve) => late.addEventListener('abort', () => resolve()))
    clearInterval(waiting)
    assert.equal((late.reason as Error).name, 'TimeoutError')
  })
})
