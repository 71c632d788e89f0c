/** Are ports free: asked before anything is started, so that the answer is one sentence. */
import { createServer } from 'node:net'
import { RegistryError } from '../../protocol/errors.js'

/** Throws `unavailable` for one that is taken, `invalid` for one that this user may not use. */
export async function demandFree(host: string, ports: readonly number[]): Promise<void> {
  for (const port of ports) await tryPort(host, port)
}

function tryPort(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => reject(refusal(error, host, port)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}

function refusal(error: NodeJS.ErrnoException, host: string, port: number): RegistryError {
  const details = { cause: error }
  if (error.code === 'EADDRINUSE')
    return new RegistryError('unavailable', `Port ${port} is already in use; choose others with --port`, details)
  if (error.code === 'EACCES')
    return new RegistryError('invalid', `This user may not listen on port ${port}; choose others with --port`, details)
  return new RegistryError(
    'invalid',
    `This machine cannot listen on ${host} (${error.code ?? error.message}); choose another address with --host`,
    details,
  )
}
