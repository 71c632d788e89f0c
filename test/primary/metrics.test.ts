/** What operators and benches read from both parts by one name. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { testFleet, until } from '../support/fleet.js'

it('primary and node tell by the same metric which change they are at', { timeout: 120_000 }, async () => {
  const fleet = await testFleet({ nodes: 1 })
  try {
    const { number } = (await (await fetch(`${fleet.primaryUrl}/health`)).json()) as { number: number }
    assert.ok(number > 0)
    for (const url of [fleet.primaryUrl, fleet.nodeUrls[0] ?? ''])
      await until(async () => ((await numberAt(url)) ?? 0) >= number)
  } finally {
    await fleet.close()
  }
})

async function numberAt(url: string): Promise<number | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = /^cairn_log_number(?:\{.*\})? (\d+)$/m.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}
