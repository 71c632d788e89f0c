/** Decodes base64 (RFC 4648 section 4, padded) as it arrives. Anything else in it is refused, never skipped. */
import { RegistryError } from '../../protocol/errors.js'

/** Every chunk is new and stays valid. Throws `invalid`. */
export async function* decodeBase64(text: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let rest = ''
  let padded = false
  for await (const chunk of text) {
    const known = rest + latin1(chunk)
    const whole = known.length - (known.length % 4)
    rest = known.slice(whole)
    if (whole === 0) continue
    if (padded) throw refused()
    const groups = rest === '' ? known : known.slice(0, whole)
    padded = groups.endsWith('=')
    yield decode(groups)
  }
  if (rest !== '') throw refused()
}

/** Node's decoder skips what is not base64, which shows in the number of bytes. */
function decode(groups: string): Buffer {
  const bytes = Buffer.from(groups, 'base64')
  const padding = groups.endsWith('==') ? 2 : groups.endsWith('=') ? 1 : 0
  if (bytes.length !== (groups.length / 4) * 3 - padding) throw refused()
  return bytes
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function refused(): RegistryError {
  return new RegistryError('invalid', 'The attachment is not valid base64', { code: 'invalid_base64' })
}
