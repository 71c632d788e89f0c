/** A browser's session of the console without a browser: cookie, proof, pages, forms. */
import assert from 'node:assert/strict'
import { keepSecrets } from './heard.js'

export interface ConsoleSession {
  cookie: string
  csrf: string
  /** Follows no redirect. */
  get(path: string): Promise<{ status: number; text: string; location: string }>
  /** A form of the session's own, from its own origin, unless said otherwise. */
  post(
    path: string,
    fields: Fields,
    headers?: Record<string, string>,
  ): Promise<{ status: number; text: string; location: string }>
}

export type Fields = Record<string, string | readonly string[]>

export async function consoleSession(url: string, username: string, password: string): Promise<ConsoleSession> {
  keepSecrets({ password })
  const body = new URLSearchParams({ username, password })
  const entered = await fetch(`${url}/admin/login`, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: url },
    body,
  })
  assert.equal(entered.status, 303, await entered.text())
  const cookie = entered.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
  const answer = async (reply: Response) => ({
    status: reply.status,
    text: await reply.text(),
    location: reply.headers.get('location') ?? '',
  })
  const get = async (path: string) => answer(await fetch(url + path, { redirect: 'manual', headers: { cookie } }))
  const account = await get('/admin/account')
  const csrf = /name="csrf" value="([^"]+)"/.exec(account.text)?.[1] ?? assert.fail(account.text)
  return {
    cookie,
    csrf,
    get,
    post: async (path, fields, headers = {}) => {
      const sent = new URLSearchParams()
      for (const [name, value] of Object.entries({ csrf, ...fields }))
        for (const one of typeof value === 'string' ? [value] : value) sent.append(name, one)
      const all = { origin: url, 'sec-fetch-site': 'same-origin', cookie, ...headers }
      return answer(await fetch(url + path, { method: 'POST', redirect: 'manual', headers: all, body: sent }))
    },
  }
}
