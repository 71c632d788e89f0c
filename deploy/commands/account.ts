/** `cairn login`, `logout`, `whoami` and `cairn token …`. */
import { hostname } from 'node:os'
import { Command, Option } from 'commander'
import { tokenHash, tokenId } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import { Client, record } from '../client.js'
import { credentialFor, remember } from '../credentials.js'
import { ask, type ClientFlags, connect, print, readLine, settingsFor, type Terminal, table } from '../terminal.js'
import { textIn } from './given-file.js'
import { clientCommand, several, wholeNumber } from './options.js'

const TOKEN_DAYS = 90
export const MAX_DAYS = 3650
const OVERLAP_MINUTES = 1440
const MAX_OVERLAP_MINUTES = 43_200

interface LoginFlags extends ClientFlags {
  username?: string
  passwordStdin?: boolean
  oidcTokenFile?: string
  code?: string
  days: number
}

export function loginCommand(terminal: Terminal): Command {
  return clientCommand('login', 'log in, and remember an API token for this registry')
    .option('--username <name>')
    .option('--password-stdin', 'read the password from standard input')
    .option('--code <code>', 'of the second factor; asked for when it is needed')
    .option('--days <number>', 'how long the token is valid', wholeNumber(1, MAX_DAYS), TOKEN_DAYS)
    .addOption(
      new Option(
        '--oidc-token-file <file>',
        'log in with the token that a CI system or cluster gave; for minutes, by a trust rule',
      ).conflicts(['username', 'passwordStdin']),
    )
    .action(async (flags: LoginFlags) => {
      const { values } = await settingsFor('client', { url: flags.url }, terminal)
      const url = values.url[0] ?? ''
      if (flags.oidcTokenFile !== undefined) return exchange(url, flags.oidcTokenFile, flags, terminal)
      const username = flags.username ?? (await ask('Username: ', terminal))
      const password = flags.passwordStdin ? await readLine(terminal) : await ask('Password: ', terminal, true)
      const token = await tokenFor(
        url,
        { username, password },
        flags.days,
        async () => flags.code ?? ask('Code: ', terminal),
      )
      await remember(url, { username, token: String(token.value), id: String(token.id) }, terminal)
      print(
        terminal,
        flags,
        { url, username, expires_at: token.expires_at ?? null },
        () => `Logged in to ${url} as ${username}`,
      )
    })
}

export function logoutCommand(terminal: Terminal): Command {
  return clientCommand('logout', 'revoke and forget the token that `cairn login` made').action(
    async (flags: ClientFlags) => {
      const { values } = await settingsFor('client', { url: flags.url }, terminal)
      const url = values.url[0] ?? ''
      const known = await credentialFor(url, terminal)
      if (known) await revoke(new Client({ url, token: known.token }), known.id)
      await remember(url, undefined, terminal)
      print(terminal, flags, { url, was_logged_in: known !== undefined }, () =>
        known ? `Logged out of ${url}` : `You were not logged in to ${url}`,
      )
    },
  )
}

export function whoamiCommand(terminal: Terminal): Command {
  return clientCommand('whoami', 'who the registry takes you for').action(async (flags: ClientFlags) => {
    const me = record(await (await connect(flags, terminal)).json('GET', '/api/v1/auth/me'))
    print(terminal, flags, me, () => String(me.username))
  })
}

export function tokenCommand(terminal: Terminal): Command {
  return new Command('token')
    .description('API tokens')
    .addCommand(createToken(terminal))
    .addCommand(
      clientCommand('list', 'your API tokens, without their values').action(async (flags: ClientFlags) => {
        const tokens = await (await connect(flags, terminal)).all('/api/v1/auth/tokens?limit=1000')
        const row = (token: Record<string, unknown>) => [
          token.id,
          token.name,
          Array.isArray(token.scopes) ? token.scopes.join(' ') : '',
          token.expires_at ?? 'never',
          token.last_used_at ?? 'not yet',
          token.last_used_from ?? '',
        ]
        const titles = ['ID', 'NAME', 'SCOPES', 'EXPIRES', 'LAST USED', 'FROM']
        print(terminal, flags, tokens, () => table(titles, tokens.map(row)))
      }),
    )
    .addCommand(rotateToken(terminal))
    .addCommand(
      clientCommand('revoke', 'end a token')
        .argument('<id>')
        .action(async (id: string, flags: ClientFlags) => {
          await (await connect(flags, terminal)).json('DELETE', `/api/v1/auth/tokens/${encodeURIComponent(id)}`)
          print(terminal, flags, { id, revoked: true }, () => `Revoked ${id}`)
        }),
    )
}

function createToken(terminal: Terminal): Command {
  return clientCommand('create', 'make a token; its value is shown this once')
    .argument('<name>')
    .option(
      '--scope <scope>',
      'read, write, delete, admin, audit or *, each with :pattern or :pattern/path if wanted; can be given several times',
      several,
    )
    .option('--days <number>', 'how long it is valid; without: as the registry has it', wholeNumber(1, MAX_DAYS))
    .addOption(new Option('--for-ever', 'it does not end, where the registry allows that').conflicts('days'))
    .action(async (name: string, flags: ClientFlags & { scope?: string[]; days?: number; forEver?: true }) => {
      const draft = { name, scopes: flags.scope ?? ['*'], expires_in_days: flags.forEver ? null : flags.days }
      const token = record(await (await connect(flags, terminal)).json('POST', '/api/v1/auth/tokens', draft))
      print(terminal, flags, token, () => String(token.value))
    })
}

function rotateToken(terminal: Terminal): Command {
  return clientCommand('rotate', 'make the successor of a token; its value is shown this once')
    .argument('<id>')
    .option(
      '--overlap <minutes>',
      'how long the old value works on',
      wholeNumber(0, MAX_OVERLAP_MINUTES),
      OVERLAP_MINUTES,
    )
    .option(
      '--days <number>',
      'how long the new one is valid; without: as long as the old one was',
      wholeNumber(1, MAX_DAYS),
    )
    .action(async (id: string, flags: ClientFlags & { overlap: number; days?: number }) => {
      const body = { overlap_minutes: flags.overlap, expires_in_days: flags.days }
      const path = `/api/v1/auth/tokens/${encodeURIComponent(id)}/rotate`
      const token = record(await (await connect(flags, terminal)).json('POST', path, body))
      print(terminal, flags, token, () => String(token.value))
    })
}

async function exchange(url: string, file: string, flags: LoginFlags, terminal: Terminal): Promise<void> {
  const token = await textIn(file, terminal)
  const client = new Client({ url, token: undefined })
  const given = record(await client.json('POST', '/api/v1/auth/oidc/exchange', { token: token.trim() }))
  const [username, value, seconds] = [String(given.username), String(given.access_token), Number(given.expires_in)]
  await remember(url, { username, token: value, id: tokenId(tokenHash(value)) }, terminal)
  print(
    terminal,
    flags,
    { url, username, expires_in: seconds },
    () => `Logged in to ${url} as ${username} for ${Math.floor(seconds / 60)} minutes`,
  )
}

/** The session is only for making the token: a token can be revoked by itself, and is good for a time that the user chose. */
async function tokenFor(
  url: string,
  credentials: { username: string; password: string },
  days: number,
  askCode: () => Promise<string>,
): Promise<Record<string, unknown>> {
  const anonymous = new Client({ url, token: undefined })
  const logIn = async (given: object) => record(await anonymous.json('POST', '/api/v1/auth/login', given))
  const session = await logIn(credentials).catch(async (error) => {
    if (!(error instanceof RegistryError && error.code === 'second_factor_needed')) throw error
    return logIn({ ...credentials, code: await askCode() })
  })
  const client = new Client({ url, token: String(session.access_token) })
  const draft = { name: `cairn on ${hostname()}`.slice(0, 100), scopes: ['*'], expires_in_days: days }
  const token = record(await client.json('POST', '/api/v1/auth/tokens', draft))
  await client.json('POST', '/api/v1/auth/logout', { refresh_token: session.refresh_token })
  return token
}

async function revoke(client: Client, id: string): Promise<void> {
  try {
    await client.json('DELETE', `/api/v1/auth/tokens/${encodeURIComponent(id)}`)
  } catch (error) {
    // It ended already.
    if (!(error instanceof RegistryError && ['missing', 'unauthenticated'].includes(error.kind))) throw error
  }
}
