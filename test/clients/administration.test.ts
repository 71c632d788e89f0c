/** What an administrator does at the console, in a real browser: rights are given, explained, and used by a program, and by nobody else. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { ADMIN_PASSWORD, type TestFleet, testFleet } from '../support/fleet.js'
import { keepSecrets } from '../support/heard.js'
import { missing, program } from './client.js'

const installed = program('chromium')
const PASSWORD = 'correct horse battery staple'
const DEADLINE_MS = 20_000

/** Counts what a page must not have; run by the browser. */
const FAULTS = `(() => {
  const all = (selector) => [...document.querySelectorAll(selector)]
  return {
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    nameless: all('main input:not([type=hidden]), main select').filter((field) => field.labels.length === 0).length,
    headless: all('main table').filter((table) => !table.querySelector('thead th[scope]')).length,
    twice: all('[id]').length - new Set(all('[id]').map(({ id }) => id)).size,
  }
})()`

describe('administration in a browser', { timeout: 180_000, ...missing(installed) }, () => {
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

  /** A browser that nobody used before, logged in; `wrong` collects what it complained about. */
  const opened = async (
    username: string,
    password: string,
    options: { javaScriptEnabled?: boolean; width?: number },
  ) => {
    const { javaScriptEnabled = true, width = 1100 } = options
    const viewport = { width, height: 800 }
    const context = await browser.newContext({ baseURL: fleet.primaryUrl, javaScriptEnabled, viewport })
    context.setDefaultTimeout(DEADLINE_MS)
    const page = await context.newPage()
    const wrong: string[] = []
    // A form that was refused is an answer of 400, which the browser mentions.
    page.on(
      'console',
      (message) => message.type() === 'error' && !/status of 4/.test(message.text()) && wrong.push(message.text()),
    )
    page.on('pageerror', (error) => wrong.push(String(error)))
    await page.goto('/admin/login')
    await page.getByLabel('User name', { exact: true }).fill(username)
    await page.getByLabel('Password', { exact: true }).fill(password)
    await press(page, 'Log in')
    await page.getByText(`Logged in as ${username}`).waitFor()
    return { page, wrong }
  }
  const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
  const go = (page: Page, name: string) =>
    page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name, exact: true }).click()
  const section = (page: Page, title: string) =>
    page.locator('section').filter({ has: page.getByRole('heading', { name: title, exact: true }) })
  const told = (page: Page, words: string) => page.getByRole('status').getByText(words).waitFor()

  for (const javaScriptEnabled of [true, false])
    it(`gives a group a right in a project's repository, ${javaScriptEnabled ? 'with' : 'without'} scripts, and a token of a member works there and nowhere else`, async () => {
      const mark = javaScriptEnabled ? 'a' : 'b'
      const [group, project, own, other] = [
        `builders-${mark}`,
        `garden-${mark}`,
        `garden-${mark}-files`,
        `other-${mark}`,
      ]
      const { page, wrong } = await opened('admin', ADMIN_PASSWORD, { javaScriptEnabled })

      await go(page, 'Groups')
      await section(page, 'New group').getByLabel('Name', { exact: true }).fill(group)
      await press(page, 'Make the group')
      await told(page, 'Made.')
      await page.getByLabel('User name', { exact: true }).fill('nobody-here')
      await press(page, 'Add')
      await page.getByRole('alert').getByText('There is no user nobody-here').waitFor()
      assert.equal(await page.getByLabel('User name', { exact: true }).inputValue(), 'nobody-here')
      await page.getByLabel('User name', { exact: true }).fill('ann')
      await press(page, 'Add')
      await page.getByRole('rowheader', { name: 'ann' }).waitFor()

      await go(page, 'Projects')
      await page.getByLabel('Key', { exact: true }).fill(project)
      await press(page, 'Make the project')
      await told(page, 'Made.')
      for (const [key, of] of [
        [own, project],
        [other, ''],
      ] as const) {
        await go(page, 'Repositories')
        const form = section(page, 'New repository')
        await form.getByLabel('Key', { exact: true }).fill(key)
        await form.getByLabel('Project', { exact: true }).fill(of)
        await press(page, 'Make the repository')
        await told(page, 'Made.')
      }

      await go(page, 'Grants')
      const form = section(page, 'New grant')
      await form.getByLabel('For a', { exact: true }).selectOption('group')
      await form.getByLabel('Name', { exact: true }).fill(group)
      await form.getByLabel('Repository', { exact: true }).fill(`${project}-*`)
      await press(page, 'Make the grant')
      await page.getByRole('alert').getByText('A grant names actions, or a role').waitFor()
      assert.equal(await form.getByLabel('Repository', { exact: true }).inputValue(), `${project}-*`)
      await form.getByLabel('Role', { exact: true }).selectOption('developer')
      await press(page, 'Make the grant')
      await told(page, 'Made.')

      await go(page, 'Rights')
      const question = section(page, 'Who may do this, and why')
      await question.getByLabel('Repository', { exact: true }).fill(own)
      await question.getByLabel('Action', { exact: true }).selectOption('write')
      await press(page, 'Who may')
      await page.getByRole('row', { name: /^ann .*group builders/ }).waitFor()
      assert.deepEqual(wrong, [])

      const ann = await opened('ann', PASSWORD, { javaScriptEnabled, width: 390 })
      assert.equal(await ann.page.getByRole('link', { name: 'Users', exact: true }).count(), 0)
      await go(ann.page, 'Rights')
      await ann.page.getByRole('row', { name: new RegExp(`^${own} read, write`) }).waitFor()
      await go(ann.page, 'Tokens')
      await ann.page.getByLabel('Name', { exact: true }).fill('for a program')
      await ann.page.getByLabel('Scopes', { exact: true }).fill(`write:${own} read:${own}`)
      await press(ann.page, 'Make the token')
      const value = (await ann.page.locator('.once').textContent()) ?? ''
      keepSecrets({ token: value })
      const asks = async (method: string, path: string, body?: string) => {
        const headers = { authorization: `Bearer ${value}` }
        return (await fetch(fleet.primaryUrl + path, { method, headers, ...(body === undefined ? {} : { body }) }))
          .status
      }
      assert.equal(await asks('PUT', `/repository/${own}/hello.txt`, 'hello'), 201)
      assert.equal(await asks('GET', `/repository/${own}/hello.txt`), 200)
      assert.equal(await asks('PUT', `/repository/${other}/hello.txt`, 'hello'), 404)
      assert.equal(await asks('DELETE', `/repository/${own}/hello.txt`), 403)
      assert.equal(await asks('GET', '/api/v1/users'), 403)
      await ann.page.getByRole('link', { name: 'I have it' }).click()
      await ann.page.getByRole('button', { name: 'Revoke for a program' }).first().click()
      await told(ann.page, 'Removed.')
      assert.equal(await asks('GET', `/repository/${own}/hello.txt`), 401)
      assert.deepEqual(ann.wrong, [])
      await page.context().close()
      await ann.page.context().close()
    })

  it('filters a list while one types, and the address says what is shown', async () => {
    for (const username of ['zoe', 'zora']) await fleet.api('POST', '/api/v1/users', { username })
    const { page, wrong } = await opened('admin', ADMIN_PASSWORD, {})
    await page.goto('/admin/users')
    await page.getByRole('rowheader', { name: 'ann' }).waitFor()
    await page.getByLabel('User name begins with').pressSequentially('zor')
    await page.getByRole('rowheader', { name: 'ann' }).waitFor({ state: 'detached' })
    await page.getByRole('rowheader', { name: 'zoe' }).waitFor({ state: 'detached' })
    await page.getByRole('rowheader', { name: 'zora' }).waitFor()
    assert.equal(await page.evaluate('document.activeElement.name'), 'prefix', 'typing goes on')
    await page.waitForURL('**/admin/users?prefix=zor')
    await page.reload()
    assert.equal(await page.getByRole('rowheader').count(), 1)
    assert.deepEqual(wrong, [])
    await page.context().close()
  })

  it('fits a phone, names every field, and can be walked through by keyboard', async () => {
    const { page } = await opened('admin', ADMIN_PASSWORD, { width: 390 })
    const paths = ['users', 'users/ann', 'groups', 'roles', 'projects', 'grants', 'rights', 'tokens', 'repositories']
    for (const path of [...paths, 'nodes', 'leases', 'identity-providers', 'audit?verify=yes']) {
      await page.goto(`/admin/${path}`)
      const found = await page.evaluate(FAULTS)
      assert.deepEqual(found, { wide: 0, nameless: 0, headless: 0, twice: 0 }, path)
    }
    await page.goto('/admin/groups')
    const focused = () => page.evaluate('document.activeElement.name')
    for (let i = 0; i < 40 && (await focused()) !== 'name'; i++) await page.keyboard.press('Tab')
    await page.keyboard.type('by keyboard')
    await page.keyboard.press('Enter')
    await told(page, 'Made.')
    await page.context().close()
  })
})
