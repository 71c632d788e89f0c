/** A person logs in with the password of a directory in a real browser; an administrator tests it, compares it, and it dies meanwhile. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { cairn } from '../deploy/scripted.js'
import { ADMIN_PASSWORD, type TestFleet, testFleet } from '../support/fleet.js'
import { dnOf, GROUPS, PEOPLE, READER, SLAPD, type TestSlapd, testSlapd } from '../support/slapd.js'
import { missing, program } from './client.js'

const CHROMIUM = program('chromium')
const PASSWORD = 'correct horse'
const SKIP = missing(SLAPD).skip ? missing(SLAPD) : missing(CHROMIUM)

describe('logging in with the password of a directory', { timeout: 120_000, ...SKIP }, () => {
  let fleet: TestFleet
  let corp: TestSlapd
  let browser: Browser
  before(async () => {
    corp = await testSlapd({
      people: ['ann', 'bob'].map((uid) => ({ uid, password: PASSWORD, more: [`mail: ${uid}@corp.test`] })),
      groups: { 'cn=dev': [dnOf('ann'), dnOf('bob')], 'cn=all': [`cn=dev,${GROUPS}`] },
    })
    fleet = await testFleet({ nodes: 1, primary: { upstreamAllow: ['127.0.0.1'] } })
    const executablePath = CHROMIUM.command?.[0] ?? ''
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  })
  after(async () => {
    await browser?.close()
    await fleet?.close()
    await corp?.close()
  })

  const run = (...args: string[]) => {
    const environment = { CAIRN_URL: fleet.primaryUrl, CAIRN_TOKEN: fleet.admin.replace('Bearer ', '') }
    return cairn(args, { folder: fleet.dir, environment })
  }
  /** In a browser that was never here. */
  const visit = async (user: string, password: string, work: (page: Page) => Promise<void>) => {
    const context = await browser.newContext()
    try {
      const page = await context.newPage()
      await page.goto(`${fleet.primaryUrl}/admin/login?next=/admin/account`)
      await page.locator('input[name=username]').fill(user)
      await page.locator('input[name=password]').fill(password)
      await page.getByRole('button', { name: 'Log in' }).click()
      await work(page)
    } finally {
      await context.close()
    }
  }
  const alert = (page: Page) => page.getByRole('alert').textContent()
  const asBob = (url: string) =>
    fetch(`${url}/api/v1/auth/me`, { headers: { authorization: `Basic ${btoa(`bob:${PASSWORD}`)}` } })

  it('is set up from a file, if it works', async () => {
    const settings = { urls: [corp.ldaps], ca: corp.ca, ...READER, user_base: PEOPLE, group_base: GROUPS }
    const file = join(fleet.dir, 'corp.json')
    await writeFile(file, JSON.stringify({ ...settings, bind_password: 'wrong' }))
    const refused = await run('provider', 'add', 'corp', '--kind', 'ldap', '--settings', file)
    assert.match(refused.err, /refuses cn=reader/)
    await writeFile(file, JSON.stringify(settings))
    assert.equal((await run('provider', 'add', 'corp', '--kind', 'ldap', '--settings', file)).code, 0)
    assert.equal((await run('provider', 'show', 'corp')).out.includes(READER.bind_password), false)
    const { out } = await run('provider', 'test', 'corp', '--user', 'ann')
    assert.match(out, /ann@corp\.test/)
    assert.match((await run('provider', 'test', 'corp', '--user', 'nobody')).err, /Nobody is found/)
  })

  it('ends where one wanted to go, in the groups of the directory', async () => {
    await visit('ann', PASSWORD, async (page) => {
      await page.waitForURL(`${fleet.primaryUrl}/admin/account`)
      assert.match((await page.textContent('body')) ?? '', /ann/)
    })
    const { groups } = (await fleet.api('GET', '/api/v1/users/ann')) as { groups: string[] }
    assert.deepEqual(groups, ['all', 'dev'])
  })

  it('is refused with the same words, whoever it is', async () => {
    const words: (string | null)[] = []
    for (const [user, password] of [
      ['ann', 'wrong'],
      ['nobody', PASSWORD],
      ['*', PASSWORD],
    ] as const)
      await visit(user, password, async (page) => void words.push(await alert(page)))
    assert.equal(new Set(words).size, 1)
  })

  it('is over at once, at a node too, when somebody is gone from the directory', async () => {
    await visit('bob', PASSWORD, async (page) => {
      await page.waitForURL(`${fleet.primaryUrl}/admin/account`)
      const node = fleet.nodeUrls[0] ?? ''
      assert.deepEqual([(await asBob(fleet.primaryUrl)).status, (await asBob(node)).status], [200, 200])
      await corp.change((root) => root.del(dnOf('bob')))
      const { out } = await run('provider', 'sync', 'corp')
      assert.equal(out, 'deactivated bob\nCompared 2 accounts\n')
      await page.reload()
      await page.waitForURL(`${fleet.primaryUrl}/admin/login**`)
      assert.equal((await asBob(fleet.primaryUrl)).status, 401)
    })
  })

  it('takes no local account along when the directory dies', async () => {
    await corp.kill()
    await visit('ann', PASSWORD, async (page) => assert.match((await alert(page)) ?? '', /cannot be asked/))
    await visit('admin', ADMIN_PASSWORD, (page) => page.waitForURL(`${fleet.primaryUrl}/admin/account`))
    assert.match((await run('provider', 'test', 'corp')).err, /refuses connections/)
    await corp.start()
  })
})
