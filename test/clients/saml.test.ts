/** A person signs on in a real browser at a real SAML identity provider, and each side's log-out ends the other's session. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { type TestFleet, testFleet } from '../support/fleet.js'
import { type TestSamlProvider, testSamlProvider } from '../support/saml-provider.js'
import { missing, program } from './client.js'

const CHROMIUM = program('chromium')

describe('signing on with SAML in a browser', { timeout: 120_000, ...missing(CHROMIUM) }, () => {
  let fleet: TestFleet
  let corp: TestSamlProvider
  let browser: Browser
  before(async () => {
    fleet = await testFleet({ primary: { upstreamAllow: ['127.0.0.1'] } })
    corp = await testSamlProvider(fleet.primaryUrl)
    await fleet.api('POST', '/api/v1/identity-providers', {
      key: 'corp',
      kind: 'saml',
      title: 'Corp',
      settings: { issuer: corp.issuer, metadata_url: `${corp.url}/metadata`, allow_http: true },
    })
    const metadata = await (await fetch(`${fleet.primaryUrl}/admin/login/corp/metadata`)).text()
    const [, certificate = ''] = /use="signing".*?X509Certificate>([^<]+)</s.exec(metadata) ?? []
    corp.trust(certificate.replace(/\s/g, ''))
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
  const signOn = async (page: Page, nameId: string) => {
    await page.goto(`${fleet.primaryUrl}/admin/login?next=/admin/account`)
    await page.getByRole('link', { name: 'Log in with Corp' }).click()
    await page.locator('input[name=nameId]').fill(nameId)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.waitForURL(`${fleet.primaryUrl}/admin/account`)
  }

  it('ends where one wanted to go, known by name, in the groups that the provider tells', async () => {
    corp.people.set('s-ann', { uid: 'ann', mail: 'ann@corp.test', groups: ['dev', 'ops'] })
    await visit(async (page) => {
      await signOn(page, 's-ann')
      assert.match((await page.textContent('body')) ?? '', /ann/)
    })
    const user = (await fleet.api('GET', '/api/v1/users/ann')) as { email: string; groups: string[] }
    assert.deepEqual([user.email, user.groups], ['ann@corp.test', ['dev', 'ops']])
  })

  it('goes on to the provider when one logs out here, and is over there too', async () => {
    corp.people.set('s-bob', { uid: 'bob' })
    await visit(async (page) => {
      await signOn(page, 's-bob')
      assert.equal(corp.isLoggedIn('s-bob'), true)
      const atProvider = page.waitForRequest((request) => request.url().startsWith(`${corp.url}/slo?SAMLRequest=`))
      await page
        .getByRole('button', { name: /log out/i })
        .first()
        .click()
      await atProvider
      await page.waitForURL(`${fleet.primaryUrl}/admin/login`)
    })
    assert.equal(corp.isLoggedIn('s-bob'), false)
  })

  for (const by of ['address', 'form'])
    it(`is over here when it ends at the provider, which says so by ${by}`, async () => {
      corp.people.set('s-cal', { uid: 'cal' })
      await visit(async (page) => {
        await signOn(page, 's-cal')
        await page.goto(`${corp.url}/slo?by=${by}`)
        await page.getByText('done').waitFor()
        assert.equal(corp.isLoggedIn('s-cal'), false)
        await page.goto(`${fleet.primaryUrl}/admin/account`)
        await page.waitForURL(`${fleet.primaryUrl}/admin/login**`)
      })
    })
})
