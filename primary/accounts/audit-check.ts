/** Follows the chain of the whole audit trail in the database, to what the head says it ends in. One run at a time serves everybody who asks. */
import { RegistryError } from '../../protocol/errors.js'
import type { Audit } from './audit.js'
import { ChainCheck, exportedShape } from './chain.js'

export interface Checked {
  /** Rows of the chain. */
  rows: number
  /** Of the last of them, hexadecimal. */
  hash: string
  /** What is wrong with the first row that is; undefined: nothing. */
  broken: string | undefined
}

export class AuditCheck {
  readonly #audit: Pick<Audit, 'head' | 'export'>
  #running: Promise<Checked> | undefined

  constructor(audit: Pick<Audit, 'head' | 'export'>) {
    this.#audit = audit
  }

  run(): Promise<Checked> {
    this.#running ??= this.#follow().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #follow(): Promise<Checked> {
    const chain = new ChainCheck()
    const head = await this.#audit.head()
    let reached = head.id === 0
    try {
      for await (const lines of this.#audit.export(0))
        for (const line of Buffer.from(lines).toString('utf8').split('\n')) {
          if (line === '') continue
          const row = exportedShape.parse(JSON.parse(line))
          chain.push(row)
          if (row.id === head.id) reached = row.hash === head.hash
        }
      if (!reached)
        throw new RegistryError('corrupt', `Row ${head.id}, in which the audit trail ended, is gone`, {
          code: 'audit_broken',
        })
    } catch (error) {
      if (!(error instanceof RegistryError && error.code === 'audit_broken')) throw error
      return { rows: chain.rows, hash: chain.hash, broken: error.message }
    }
    return { rows: chain.rows, hash: chain.hash, broken: undefined }
  }
}
