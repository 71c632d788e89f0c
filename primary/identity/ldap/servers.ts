/** Several servers of one directory: asked in their order until one answers; one that did not goes to the end. */
import { RegistryError } from '../../../protocol/errors.js'
import type { Guard } from '../../upstream/guard.js'
import { Connection } from './connection.js'
import type { LdapSettings } from './settings.js'

export class Servers {
  readonly #settings: LdapSettings
  readonly #guard: Guard
  #urls: readonly string[]

  constructor(settings: LdapSettings, guard: Guard) {
    this.#settings = settings
    this.#guard = guard
    this.#urls = settings.urls
  }

  /** `work` begins anew at the next server when one fails. Throws `unavailable` when none is left, or there is no time. */
  async ask<T>(work: (connection: Connection) => Promise<T>, signal: AbortSignal): Promise<T> {
    let fault: unknown
    for (const url of this.#urls)
      try {
        return await this.at(url, work, signal)
      } catch (error) {
        if (!(error instanceof RegistryError) || error.kind !== 'unavailable' || signal.aborted) throw error
        fault = error
        this.#urls = [...this.#urls.filter((one) => one !== url), url]
      }
    throw fault
  }

  async at<T>(url: string, work: (connection: Connection) => Promise<T>, signal: AbortSignal): Promise<T> {
    const connection = await Connection.open(url, { ...this.#settings, guard: this.#guard }, signal)
    try {
      return await work(connection)
    } finally {
      await connection.close()
    }
  }
}
