/** `cairn provider …`: where people sign on. Settings come from a file: a command line, which everybody sees, is no place for secrets. */
import { Command, Option } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import { record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal, table } from '../terminal.js'
import { MAX_DAYS } from './account.js'
import { jsonIn } from './given-file.js'
import { clientCommand, wholeNumber } from './options.js'

const API = '/api/v1/identity-providers'

interface SettingsFlags extends ClientFlags {
  kind?: string
  title?: string
  settings?: string
  enable?: boolean
  disable?: boolean
}

export function providerCommand(terminal: Terminal): Command {
  return new Command('provider')
    .description('identity providers: where people sign on')
    .addCommand(listProviders(terminal))
    .addCommand(addProvider(terminal))
    .addCommand(showProvider(terminal))
    .addCommand(updateProvider(terminal))
    .addCommand(removeProvider(terminal))
    .addCommand(testProvider(terminal))
    .addCommand(syncProvider(terminal))
    .addCommand(tokenOfProvider(terminal))
}

function listProviders(terminal: Terminal): Command {
  return clientCommand('list', 'all, in the order in which passwords are tried').action(async (flags: ClientFlags) => {
    const { items } = record(await (await connect(flags, terminal)).json('GET', API))
    const found = Array.isArray(items) ? items.map(record) : []
    print(terminal, flags, found, () =>
      table(
        ['KEY', 'KIND', 'TITLE', 'ENABLED'],
        found.map(({ key, kind, title, enabled }) => [key, kind, title, enabled]),
      ),
    )
  })
}

function addProvider(terminal: Terminal): Command {
  return clientCommand('add', 'a new one, if it works')
    .argument('<key>')
    .addOption(new Option('--kind <kind>').choices(['ldap', 'oidc', 'oauth2', 'saml', 'scim']).makeOptionMandatory())
    .option('--title <text>', 'what the log-in page calls it')
    .requiredOption('--settings <file>', 'JSON')
    .action(async (key: string, flags: SettingsFlags) => {
      const { kind, title } = flags
      const draft = { key, kind, title, settings: await jsonIn(flags.settings ?? '', terminal) }
      const made = record(await (await connect(flags, terminal)).json('POST', API, draft))
      print(terminal, flags, made, () => `Made ${key}`)
    })
}

function showProvider(terminal: Terminal): Command {
  return clientCommand('show', 'its settings, without the secret ones')
    .argument('<key>')
    .action(async (key: string, flags: ClientFlags) => {
      const found = record(await (await connect(flags, terminal)).json('GET', addressOf(key)))
      print(terminal, flags, found, () => JSON.stringify(found, null, 2))
    })
}

function updateProvider(terminal: Terminal): Command {
  return clientCommand('update', 'change it, if it then works')
    .argument('<key>')
    .option('--title <text>')
    .option('--settings <file>', 'JSON, all of them; secret ones that are left out stay')
    .option('--enable')
    .addOption(new Option('--disable').conflicts('enable'))
    .action(async (key: string, flags: SettingsFlags) => {
      const { title, enable, disable } = flags
      const enabled = enable ? true : disable ? false : undefined
      const settings = flags.settings === undefined ? undefined : await jsonIn(flags.settings, terminal)
      const changed = await (await connect(flags, terminal)).json('PATCH', addressOf(key), { title, enabled, settings })
      print(terminal, flags, record(changed), () => `Changed ${key}`)
    })
}

function removeProvider(terminal: Terminal): Command {
  return clientCommand('remove', 'remove it; accounts stay, without the groups that it gave them')
    .argument('<key>')
    .action(async (key: string, flags: ClientFlags) => {
      await (await connect(flags, terminal)).json('DELETE', addressOf(key))
      print(terminal, flags, { key, removed: true }, () => `Removed ${key}`)
    })
}

function testProvider(terminal: Terminal): Command {
  return clientCommand('test', 'does it work, and if not, why')
    .argument('<key>')
    .option('--user <name>', 'who that is there')
    .action(async (key: string, flags: ClientFlags & { user?: string }) => {
      const asked = { username: flags.user }
      const result = record(await (await connect(flags, terminal)).json('POST', `${addressOf(key)}/test`, asked))
      if (result.works !== true) throw new RegistryError('unavailable', String(result.reason))
      const found = result.identity === null ? '' : `\n${JSON.stringify(result.identity, null, 2)}`
      print(terminal, flags, result, () => `${key} works${found}`)
    })
}

function syncProvider(terminal: Terminal): Command {
  return clientCommand('sync', 'bring its accounts to what it says now: groups, and who is gone')
    .argument('<key>')
    .option('--force', 'however many accounts are to be deactivated')
    .action(async (key: string, flags: ClientFlags & { force?: boolean }) => {
      const asked = { force: flags.force === true }
      const synced = record(await (await connect(flags, terminal)).json('POST', `${addressOf(key)}/sync`, asked))
      print(terminal, flags, synced, () => {
        const { accounts, ...changed } = synced
        const lines = Object.entries(changed).map(([what, names]) => [names].flat().map((name) => `${what} ${name}\n`))
        return `${lines.flat().join('')}Compared ${accounts} accounts`
      })
    })
}

function tokenOfProvider(terminal: Terminal): Command {
  return clientCommand('token', 'make a token with which a SCIM provider provisions; its value is shown this once')
    .argument('<key>')
    .option('--name <text>', 'what the token is called', 'provisioning')
    .option('--days <number>', 'how long it is valid; without: as the registry has it', wholeNumber(1, MAX_DAYS))
    .action(async (key: string, flags: ClientFlags & { name: string; days?: number }) => {
      const draft = { name: flags.name, expires_in_days: flags.days }
      const token = record(await (await connect(flags, terminal)).json('POST', `${addressOf(key)}/tokens`, draft))
      print(terminal, flags, token, () => String(token.value))
    })
}

function addressOf(key: string): string {
  return `${API}/${encodeURIComponent(key)}`
}
