/** What a right password alone is good for: whether an account needs a second factor, and whether a code is it. */
import { RegistryError } from '../../protocol/errors.js'
import type { UserRecord } from '../../protocol/records.js'
import type { SecondFactorDemand } from '../../protocol/settings.js'
import type { Directory } from './directory.js'
import type { Passkeys } from './passkeys.js'
import type { SecondFactor } from './second-factor.js'
import { Throttle } from './throttle.js'

/** With the password known, guessing one of three good codes among a million takes a year at this rate. */
const GUESSES = { burst: 5, refillMs: 60_000 }

export interface SecondStepsParts {
  factor: SecondFactor
  passkeys: Pick<Passkeys, 'has'>
  demanded: SecondFactorDemand
  directory: Directory
  nowMs: () => number
}

export class SecondSteps {
  readonly factor: SecondFactor
  readonly #passkeys: Pick<Passkeys, 'has'>
  readonly #demanded: SecondFactorDemand
  readonly #directory: Directory
  readonly #throttle: Throttle

  constructor({ factor, passkeys, demanded, directory, nowMs }: SecondStepsParts) {
    this.factor = factor
    this.#passkeys = passkeys
    this.#demanded = demanded
    this.#directory = directory
    this.#throttle = new Throttle(nowMs, { pair: GUESSES, address: GUESSES, account: GUESSES })
  }

  /** What must follow the user's password; instead of a code, the console takes a passkey. */
  async next(user: UserRecord): Promise<'none' | 'code' | 'enrol'> {
    if ((await this.factor.has(user.name)) || (await this.#passkeys.has(user.name))) return 'code'
    const demanded = this.#demanded === 'everyone' || (this.#demanded === 'administrators' && user.admin)
    return demanded ? 'enrol' : 'none'
  }

  /** Throws `unauthenticated` unless the account needs no code or this is one. Which kind of lack it was, the error's code tells. */
  async demand(user: UserRecord, code: string | undefined, remote: string | undefined): Promise<undefined> {
    const step = await this.next(user)
    if (step === 'none') return
    if (step === 'enrol')
      throw new RegistryError(
        'unauthenticated',
        'A second factor is demanded: set one up by logging in to the console',
        {
          code: 'second_factor_missing',
        },
      )
    if (code === undefined)
      throw new RegistryError(
        'unauthenticated',
        'This account has a second factor: a code is needed, and programs use an API token instead of the password',
        { code: 'second_factor_needed' },
      )
    await this.#tried(user, remote, async () => ((await this.factor.use(user.name, code)) ? true : undefined))
  }

  /** Puts a second factor in force. Returns its recovery codes; throws `unauthenticated` for a wrong code. Within the turn. */
  async enrolled(user: UserRecord, code: string, remote: string | undefined): Promise<string[]> {
    const codes = await this.#tried(user, remote, () => this.factor.confirm(user.name, code))
    await this.#directory.touch(user)
    return codes
  }

  /** Turns it off, against a code. */
  remove(user: UserRecord, code: string, remote: string | undefined): Promise<void> {
    return this.#directory.turn.run(async () => {
      await this.demand(user, code, remote)
      await this.factor.remove(user.name)
      await this.#directory.touch(user)
    })
  }

  async #tried<T>(user: UserRecord, remote: string | undefined, work: () => Promise<T | undefined>): Promise<T> {
    const succeeded = this.#throttle.attempt(user.name, remote)
    const done = await work()
    if (done === undefined) throw new RegistryError('unauthenticated', 'The code is wrong', { code: 'code_wrong' })
    succeeded()
    return done
  }
}
