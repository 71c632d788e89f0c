/** The page at / of the primary in a real browser. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet } from '../support/fleet.js'
import { missing, newHome, program, run } from './client.js'

const chromium = program('chromium')
/** Of the page's own clock. Longer than the time after which it refreshes itself. */
const WATCHED_MS = 12_000

describe('the page in a browser', { timeout: 120_000, ...missing(chromium) }, () => {
  let fleet: TestFleet
  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    await fleet.api('POST', '/api/v1/repositories', {
      key: 'shown',
      name: 'shown',
      format: 'npm',
      repo_type: 'local',
      is_public: true,
      description: '<b>bold</b> & more',
    })
  })
  after(() => fleet.close())

  const look = async () => {
    const home = await newHome(fleet.dir)
    const options = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--enable-logging=stderr',
      `--user-data-dir=${home}`,
    ]
    const asked = [`--virtual-time-budget=${WATCHED_MS}`, '--dump-dom', `${fleet.primaryUrl}/`]
    return run(chromium, [...options, ...asked], { cwd: home, home })
  }

  it('shows what runs, without an error in the console', async () => {
    const { code, stdout, output } = await look()
    assert.equal(code, 0, output)
    assert.match(stdout, /node-1/)
    assert.match(stdout, /shown/)
    assert.ok(stdout.includes('&lt;b&gt;bold&lt;/b&gt; &amp; more'), 'what people write is text')
    assert.doesNotMatch(output, /CONSOLE|Refused to|Content Security Policy/)
  })

  it('asks again while it is open', async () => {
    const before = await answered()
    await look()
    // The page, its style and htmx are three; the rest are refreshes.
    assert.ok((await answered()) - before > 4)
  })

  /** GET requests so far, those for the metrics among them. */
  async function answered(): Promise<number> {
    const text = await (await fetch(`${fleet.primaryUrl}/metrics`)).text()
    const counts = text.matchAll(/^http_request_duration_seconds_count\{[^}]*method="GET"[^}]*\} (\d+)$/gm)
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
  }
})
