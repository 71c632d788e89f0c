/**
 * Opens the way to a directory server: an address that the guard allows, and TLS from the first byte (ldaps) or by StartTLS before anything
 * else is said (ldap). Without it nothing is said at all, unless the settings allow that.
 */

import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as secure } from 'node:tls'
import { BerReader } from 'ldapts'
import { deadline } from '../../../protocol/deadline.js'
import { RegistryError } from '../../../protocol/errors.js'
import { forbidden, guardedLookup } from '../../upstream/connect.js'
import { bareHost, type Guard } from '../../upstream/guard.js'
import { checkMessage, messageEnd } from './messages.js'
import type { LdapSettings } from './settings.js'

export interface Dialling extends Pick<LdapSettings, 'ca' | 'allow_plain' | 'timeout_seconds'> {
  guard: Guard
}

/** Extended request 1.3.6.1.4.1.1466.20037 (RFC 4511, 4.14), message 1. */
const START_TLS = Buffer.from(`301d02010177188016${Buffer.from('1.3.6.1.4.1.1466.20037').toString('hex')}`, 'hex')
const EXTENDED_RESPONSE = 0x78
const MAX_ANSWER_BYTES = 4096

/** Throws `unavailable` with what is in the way. */
export async function dial(url: string, dialling: Dialling, signal: AbortSignal): Promise<Socket> {
  const { hostname, port, protocol } = new URL(url)
  const host = bareHost(hostname)
  const { guard, allow_plain, timeout_seconds } = dialling
  // An address is never looked up.
  if (isIP(host) !== 0 && !guard.allows(host, host)) throw forbidden(host)
  const late = deadline(timeout_seconds * 1000, signal)
  const isSecure = protocol === 'ldaps:'
  const socket = connect({ host, port: Number(port || (isSecure ? 636 : 389)), lookup: guardedLookup(guard) })
  // Whoever waits hears of it; afterwards the layer above does.
  socket.on('error', () => undefined)
  const end = () => socket.destroy()
  late.addEventListener('abort', end)
  try {
    await once(socket, 'connect', { signal: late })
    if (isSecure) return await secured(socket, host, dialling, late)
    if (allow_plain) return socket
    await startTls(socket, host, late)
    return await secured(socket, host, dialling, late)
  } catch (error) {
    socket.destroy()
    throw explained(error, host)
  } finally {
    late.removeEventListener('abort', end)
  }
}

async function secured(socket: Socket, host: string, { ca }: Dialling, signal: AbortSignal): Promise<Socket> {
  const tls = secure({
    socket,
    host,
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca }),
    minVersion: 'TLSv1.2',
  })
  await once(tls, 'secureConnect', { signal })
  return tls
}

/** What stands behind the answer, sent before there was TLS, would be taken for something that came with it. */
async function startTls(socket: Socket, host: string, signal: AbortSignal): Promise<void> {
  socket.write(START_TLS)
  let answer = Buffer.alloc(0)
  let end: number | undefined
  while (end === undefined) {
    const [bytes] = (await Promise.race([
      once(socket, 'data', { signal }),
      once(socket, 'close', { signal }).then(() => {
        throw notOffered(host)
      }),
    ])) as [Buffer]
    answer = Buffer.concat([answer, bytes])
    end = messageEnd(answer)
    if (answer.length > MAX_ANSWER_BYTES) throw notOffered(host)
  }
  socket.pause()
  if (end !== answer.length || checkMessage(answer) !== EXTENDED_RESPONSE || resultOf(answer) !== 0)
    throw notOffered(host)
}

function resultOf(message: Buffer): number | null {
  const reader = new BerReader(message)
  reader.readSequence()
  reader.readInt()
  reader.readSequence()
  return reader.readEnumeration()
}

function notOffered(host: string): RegistryError {
  return new RegistryError('unavailable', `${host} does not offer StartTLS`, { code: 'starttls_refused' })
}

function explained(error: unknown, host: string): unknown {
  if (error instanceof RegistryError || !(error instanceof Error)) return error
  const code = 'code' in error ? String(error.code) : ''
  const [sentence, word] = reasonOf(code, error.message, host)
  return new RegistryError('unavailable', sentence, { code: word, cause: error })
}

function reasonOf(code: string, message: string, host: string): [string, string] {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return [`The name ${host} leads to no address`, 'name_unresolved']
  if (code === 'ECONNREFUSED') return [`${host} refuses connections`, 'connection_refused']
  if (code === 'ABORT_ERR') return [`${host} does not answer`, 'no_answer']
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return [`The certificate of ${host} is not valid at this time`, 'certificate_refused']
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return [`The certificate of ${host} is for another name`, 'certificate_refused']
  if (/CERT|SIGNATURE/.test(code))
    return [`The certificate of ${host} is not signed by whom we trust (${message})`, 'certificate_refused']
  if (/SSL|TLS|EPROTO/.test(code)) return [`${host} does not speak TLS as we do`, 'tls_refused']
  return [`${host} cannot be reached`, 'provider_unavailable']
}
