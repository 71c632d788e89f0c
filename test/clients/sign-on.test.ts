/** A person signs on in a real browser: at a real OpenID provider, with groups, until the provider or the administrator ends it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { ADMIN_PASSWORD, type TestFleet, testFleet, until } from '../support/fleet.js'
import { CLIENT, type TestProvider, testProvider } from '../support/openid-provider.js'
import { missing, program } from './client.js'

const CHROMIUM = program('chromium')

describe('signing on in a browser', { timeout: 120_000, ...missing(CHROMIUM) }, () => {
  let fleet: TestFleet
  let corp: TestProvider
  let browser: Browser
  before(async () => {
    fleet = await testFleet({ primary: { upstreamAllow: ['127.0.0.1'] } })
    corp = await testProvider(fleet.primaryUrl)
    await fleet.api('POST', '/api/v1/identity-providers', {
      key: 'corp',
      kind: 'oidc',
      title: 'Corp <b>',
      settings: {
        issuer: corp.url,
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        scopes: ['openid', 'profile', 'email', 'groups'],
        allow_http: true,
      },
    })
    const executablePath = CHROMIUM.command?.[0] ?? ''
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  })
  after(async () => {
    await browser?.close()
    await fleet.close()
    await corp.close()
  })

  /** In a browser that was never here; what its console complains of is an error. */
  const visit = async (work: (page: Page) => Promise<void>) => {
    const context = await browser.newContext()
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    try {
      await work(page)
      assert.deepEqual(
        complaints.filter((text) => /Content Security Policy|Refused/.test(text)),
        [],
      )
    } finally {
      await context.close()
    }
  }
  const signOn = async (page: Page, subject: string) => {
    await page.goto(`${fleet.primaryUrl}/admin/login?next=/admin/account`)
    await page.getByRole('link', { name: 'Log in with Corp <b>' }).click()
    await page.locator('input[name=subject]').fill(subject)
    await page.getByRole('button', { name: 'Log in' }).click()
  }
  const groupsOf = async (name: string) =>
    ((await fleet.api('GET', `/api/v1/users/${name}`)) as { groups: string[] }).groups

  it('ends where one wanted to go, known by name, in the groups that the provider tells', async () => {
    corp.people.set('s-ann', { preferred_username: 'ann', groups: ['dev', 'ops'] })
    await visit(async (page) => {
      await signOn(page, 's-ann')
      await page.waitForURL(`${fleet.primaryUrl}/admin/account`)
      assert.match((await page.textContent('body')) ?? '', /ann/)
      const cookies = await page.context().cookies(fleet.primaryUrl)
      const session = cookies.find(({ name }) => name === 'cairn')
      assert.deepEqual([session?.httpOnly, session?.sameSite], [true, 'Lax'])
    })
    assert.deepEqual(await groupsOf('ann'), ['dev', 'ops'])
    corp.people.set('s-ann', { preferred_username: 'ann', groups: ['ops'] })
    await visit(async (page) => {
      await signOn(page, 's-ann')
      await page.waitForURL(`${fleet.primaryUrl}/admin/account`)
    })
    assert.deepEqual(await groupsOf('ann'), ['ops'])
  })

  it('goes on to the provider when one logs out here, and is over there too', async () => {
    corp.people.set('s-bob', { preferred_username: 'bob' })
    await visit(async (page) => {
      await signOn(page, 's-bob')
      await page.waitForURL(`${fleet.primaryUrl}/admin/account`)
      await page
        .getByRole('button', { name: /log out/i })
        .first()
        .click()
      await page.waitForURL(`${corp.url}/session/end**`)
      await page.getByRole('button', { name: /yes/i }).click()
      await page.waitForURL(`${fleet.primaryUrl}/admin/login`)
      await page.getByRole('link', { name: 'Log in with Corp <b>' }).click()
      await page.locator('input[name=subject]').waitFor()
    })
  })

  it('is over at the next request when an administrator disables the account', async () => {
    corp.people.set('s-cal', { preferred_username: 'cal' })
    await visit(async (page) => {
      await signOn(page, 's-cal')
      await page.waitForURL(`${fleet.primaryUrl}/admin/account`)
      await fleet.api('PATCH', '/api/v1/users/cal', { is_disabled: true })
      await page.reload()
      await page.waitForURL(`${fleet.primaryUrl}/admin/login**`)
      await page.getByRole('link', { name: 'Log in with Corp <b>' }).click()
      await page.waitForURL(`${fleet.primaryUrl}/admin/login/corp/callback**`)
      assert.equal(await page.getByRole('alert').textContent(), 'The account is disabled.')
    })
  })

  it('takes no local account along when the provider is down', async () => {
    await corp.stop()
    await visit(async (page) => {
      await page.goto(`${fleet.primaryUrl}/admin/login?next=/admin/account`)
      await page.locator('input[name=username]').fill('admin')
      await page.locator('input[name=password]').fill(ADMIN_PASSWORD)
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.waitForURL(`${fleet.primaryUrl}/admin/account`)
    })
    await corp.start()
    await until(async () => (await fetch(`${corp.url}/jwks`)).status === 200)
  })
})
