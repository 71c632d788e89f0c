/** Logging in to the console in a real browser. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { type Browser, chromium, type Page } from 'playwright-core'
import { type TestFleet, testFleet } from '../support/fleet.js'
import { missing, program } from './client.js'

const installed = program('chromium')
const PASSWORD = 'correct horse battery staple'
const DEADLINE_MS = 20_000

describe('the console in a browser', { timeout: 120_000, ...missing(installed) }, () => {
  let fleet: TestFleet
  let browser: Browser
  before(async () => {
    const [executablePath] = installed.command ?? assert.fail('chromium is not installed; .ci/run installs it')
    fleet = await testFleet()
    await fleet.api('POST', '/api/v1/users', { username: 'ann', password: PASSWORD })
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  })
  after(async () => {
    await browser?.close()
    await fleet?.close()
  })

  /** A page of a browser that nobody used before; `wrong` collects what the browser complained about. */
  const opened = async (path: string, options: { javaScriptEnabled?: boolean; baseURL?: string } = {}) => {
    const context = await browser.newContext({ baseURL: fleet.primaryUrl, ...options })
    context.setDefaultTimeout(DEADLINE_MS)
    const page = await context.newPage()
    const wrong: string[] = []
    page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()))
    page.on('pageerror', (error) => wrong.push(String(error)))
    await page.goto(path)
    return { page, context, wrong }
  }
  const logIn = async (page: Page, password = PASSWORD, username = 'ann') => {
    await page.getByLabel('User name').fill(username)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Log in', exact: true }).click()
  }
  const press = (page: Page, name: string) => page.getByRole('button', { name }).click()

  for (const javaScriptEnabled of [true, false])
    it(`logs in and out, ${javaScriptEnabled ? 'with' : 'without'} scripts`, async () => {
      const { page, context, wrong } = await opened('/admin/account', { javaScriptEnabled })
      assert.equal(new URL(page.url()).pathname, '/admin/login', 'who is a stranger is asked to log in')
      await logIn(page)
      await page.getByText('Logged in as ann').waitFor()
      assert.equal(new URL(page.url()).pathname, '/admin/account', 'and gets to where it was going')
      const [cookie] = await context.cookies()
      assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, 'Lax'])
      await press(page, 'Log out')
      await page.getByRole('heading', { name: 'Log in' }).waitFor()
      assert.deepEqual(await context.cookies(), [])
      assert.deepEqual(wrong, [])
      await context.close()
    })

  it('says what was wrong, and logs nobody in', async () => {
    const { page, context } = await opened('/admin/login')
    await logIn(page, 'not the password')
    await page.getByRole('alert').getByText('User name or password is wrong').waitFor()
    assert.equal(await page.getByLabel('User name').inputValue(), 'ann')
    assert.deepEqual(await context.cookies(), [])
    await context.close()
  })

  it('does nothing for a page of another origin', async () => {
    const { page, context } = await opened('/admin/login')
    await logIn(page)
    await page.getByText('Logged in as ann').waitFor()
    // The same machine under another name is another site: the browser sends no cookie with a form from there.
    const evil = await context.newPage()
    const target = `${fleet.primaryUrl}/admin/logout`
    await evil.route('http://evil.test/', (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<form method="post" action="${target}"><input name="csrf" value="guess"></form>`,
      }),
    )
    await evil.goto('http://evil.test/')
    const [answer] = await Promise.all([evil.waitForResponse(target), evil.evaluate('document.forms[0].submit()')])
    assert.equal(answer.status(), 403)
    await page.reload()
    await page.getByText('Logged in as ann').waitFor()
    await context.close()
  })

  it('sets an authenticator up and asks for its code from then on', async () => {
    const { page, context, wrong } = await opened('/admin/login')
    await logIn(page)
    await page.getByRole('link', { name: 'Account' }).click()
    await press(page, 'Set up an authenticator')
    const key = ((await page.locator('.secret').textContent()) ?? '').replaceAll(' ', '')
    const code = (steps: number) =>
      TOTP.generate({ secret: Secret.fromBase32(key), timestamp: Date.now() + steps * 30_000 })
    await page.getByLabel('Code').fill(code(-1))
    await press(page, 'Turn on')
    assert.equal(((await page.locator('pre').textContent()) ?? '').trim().split('\n').length, 10)
    await press(page, 'Log out')
    await logIn(page)
    await page.getByLabel('Code').fill('000000')
    await press(page, 'Go on')
    await page.getByRole('alert').getByText('The code is wrong').waitFor()
    await page.getByLabel('Code').fill(code(1))
    await press(page, 'Go on')
    await page.getByText('Logged in as ann').waitFor()
    assert.deepEqual(
      wrong.filter((text) => !text.includes('403')),
      [],
    )
    await context.close()
  })

  it('takes a passkey instead of the password, and instead of the code after it, until it is removed', async () => {
    await fleet.api('POST', '/api/v1/users', { username: 'bob', password: PASSWORD })
    const baseURL = fleet.primaryUrl.replace('127.0.0.1', 'localhost')
    const { page, context, wrong } = await opened('/admin/account', { baseURL })
    const devices = await context.newCDPSession(page)
    await devices.send('WebAuthn.enable')
    const options = {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
    } as const
    await devices.send('WebAuthn.addVirtualAuthenticator', { options })
    await logIn(page, PASSWORD, 'bob')
    await page.getByLabel('Name', { exact: true }).fill('of the <laptop>')
    await press(page, 'Add a passkey')
    await page.getByRole('heading', { name: 'Recovery codes' }).waitFor()
    await page.getByRole('link', { name: 'I have kept them' }).click()
    await page.getByRole('row', { name: 'of the <laptop>' }).getByText('never').waitFor()
    await press(page, 'Add a passkey')
    await page.getByRole('status').getByText('has one already').waitFor()
    await press(page, 'Log out')

    await press(page, 'Log in with a passkey')
    await page.getByText('Logged in as bob').waitFor()
    await press(page, 'Log out')
    await logIn(page, PASSWORD, 'bob')
    await page.getByRole('heading', { name: 'Second factor' }).waitFor()
    await press(page, 'Log in with a passkey')
    await page.getByText('Logged in as bob').waitFor()

    await page.getByRole('link', { name: 'Account' }).click()
    await page.getByRole('row', { name: 'of the <laptop>' }).getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('heading', { name: 'Log in' }).waitFor()
    await press(page, 'Log in with a passkey')
    await page.getByRole('alert').getByText('The passkey was not accepted').waitFor()
    await logIn(page, PASSWORD, 'bob')
    await page.getByText('Logged in as bob').waitFor()

    await page.getByRole('link', { name: 'Account' }).click()
    await press(page, 'Add a passkey')
    await page.getByRole('link', { name: 'I have kept them' }).click()
    const known = (await fleet.api('GET', '/api/v1/users/bob/passkeys')) as { items: { id: string; name: string }[] }
    assert.deepEqual(
      known.items.map(({ name }) => name),
      ['passkey'],
    )
    await fleet.api('DELETE', `/api/v1/users/bob/passkeys/${known.items[0]?.id}`)
    await page.reload()
    assert.equal(await page.getByRole('row', { name: 'never' }).count(), 0)
    assert.deepEqual(
      wrong.filter((text) => !text.includes('403')),
      [],
    )
    await context.close()
    const { items } = (await fleet.api('GET', '/api/v1/admin/audit?limit=50')) as { items: Record<string, unknown>[] }
    const told = items.map(({ action, username, outcome }) => `${action} ${username} ${outcome}`)
    for (const line of ['passkey.add bob ok', 'passkey.remove bob ok', 'console.login anonymous passkey_refused'])
      assert.ok(told.includes(line), line)
  })

  it('offers no passkeys where browsers have none: at an address', async () => {
    const { page, context } = await opened('/admin/login')
    assert.equal(await page.getByRole('button', { name: 'Log in with a passkey' }).isVisible(), false)
    await context.close()
  })
})
