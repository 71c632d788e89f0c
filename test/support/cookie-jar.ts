/** As much of a browser as a log-in needs: cookies by host, redirects one at a time. */

export class CookieJar {
  readonly #cookies = new Map<string, string>()

  /** Follows no redirect. */
  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const reply = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } })
    for (const line of reply.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      this.#cookies.set(name, value)
    }
    return reply
  }

  /** Follows redirects until `until` is to be asked for, which it is not, or until there are no more. */
  async follow(url: string, until = '\0', init: RequestInit = {}): Promise<{ url: string; reply: Response }> {
    let [at, how] = [url, init]
    for (;;) {
      const reply = await this.fetch(at, how)
      const location = reply.headers.get('location')
      if (location === null) return { url: at, reply }
      at = new URL(location, at).href
      how = {}
      if (at.startsWith(until)) return { url: at, reply }
    }
  }

  get(name: string): string | undefined {
    return this.#cookies.get(name)
  }

  set(name: string, value: string): void {
    this.#cookies.set(name, value)
  }
}

/** What a page of an address says in `location`, as an address. */
export function leadsTo(reply: Response): URL {
  return new URL(reply.headers.get('location') ?? 'about:blank', reply.url)
}
