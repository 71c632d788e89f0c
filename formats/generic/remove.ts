/** DELETE /{path}: takes a file away, softly; its path stays taken. If-Match is honoured. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import { checkPreconditions, isConditional, notMet } from './preconditions.js'

export async function remove(call: Call<{ path: string }>): Promise<Reply> {
  const { repository, params, request, principal } = call
  const target = call.target()
  const entry = await repository.package(params.path)
  const file = await repository.file(params.path)
  checkPreconditions(request.headers, file)
  if (!file) throw new RegistryError('missing', `There is no ${params.path || 'file'} in ${repository.key}`)
  const lock = isConditional(request.headers) ? [{ package: params.path, last: entry?.last ?? 0 }] : []
  try {
    await target.commit([{ kind: 'remove', package: file.package, version: file.version }], principal, ...lock)
  } catch (error) {
    if (lock.length > 0 && error instanceof RegistryError && error.kind === 'conflict')
      throw notMet('The file changed meanwhile')
    throw error
  }
  return empty(204)
}
