/** Changes a crate as it is now: what the steps follow from must not change under our hands, so when it does they are made again. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Package, Step } from '../../protocol/records.js'

const ATTEMPTS = 8

/** `steps` sees the crate as it is, and returns undefined when there is nothing to change. Throws what `steps` and the ledger throw. */
export async function change(
  call: Pick<Call<unknown>, 'repository' | 'principal' | 'target'>,
  id: string,
  steps: (known: Package | undefined) => Promise<Step[] | undefined>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const known = await call.repository.package(id)
    const made = await steps(known)
    if (!made) return
    const last = known?.last ?? 0
    try {
      await call.target().commit(made, call.principal, { package: id, last })
      return
    } catch (error) {
      const isConflict = error instanceof RegistryError && error.kind === 'conflict'
      if (!isConflict || attempt === ATTEMPTS || ((await call.repository.package(id))?.last ?? 0) === last) throw error
    }
  }
}
