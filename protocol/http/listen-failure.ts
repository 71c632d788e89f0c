/** Why a port could not be had: the library only says that it could not, so Node is asked to try the same. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { RegistryError } from '../errors.js'

export async function listenFailure(host: string, port: number): Promise<RegistryError> {
  const probe = createServer()
  try {
    const listening = once(probe, 'listening')
    probe.listen({ host, port, exclusive: true })
    await listening
    return failure(`Could not listen on ${host} port ${port}`)
  } catch (cause) {
    return failure(sentence(codeOf(cause), host, port), cause)
  } finally {
    probe.close()
  }
}

function sentence(code: string, host: string, port: number): string {
  if (code === 'EADDRINUSE')
    return `Port ${port} is already in use on ${host}. Stop what uses it, or choose another port`
  if (code === 'EACCES') return `Port ${port} needs more rights than this process has. Choose one above 1023`
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `${host} is not an address of this machine`
  return `Could not listen on ${host} port ${port} (${code})`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

function failure(message: string, cause?: unknown): RegistryError {
  return new RegistryError('unavailable', message, { code: 'cannot_listen', cause })
}
