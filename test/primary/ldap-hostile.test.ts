/** Servers that are no good directory: what they say lets nobody in, keeps nobody waiting for ever, and deactivates nobody. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Identity } from '../../primary/identity/identity.js'
import { ldap } from '../../primary/identity/ldap/provider.js'
import type { ProviderParts } from '../../primary/identity/provider.js'
import { guard } from '../../primary/upstream/guard.js'
import { RegistryError } from '../../protocol/errors.js'
import {
  type Asked,
  entry,
  message,
  nextPage,
  reference,
  result,
  type ScriptedLdap,
  scriptedLdap,
} from '../support/scripted-ldap.js'

const [BIND, SEARCH, EXTENDED] = [0x60, 0x63, 0x77]
const PASSWORD = 'correct horse'
const ANN = { entryUUID: ['id-of-ann'], uid: ['ann'], mail: [] }
const DN = 'uid=ann,ou=people,dc=corp,dc=test'

describe('a server that is no good directory', { timeout: 60_000 }, () => {
  it('is a good one otherwise', async () => {
    await served(
      (asked) => (asked.operation === SEARCH ? Buffer.concat([entry(asked, DN, ANN), result(asked)]) : result(asked)),
      async (ask) => {
        assert.equal(await ask(), 'id-of-ann')
      },
    )
  })

  it('is told no password without StartTLS, whether it refuses, says nothing, or leaves', async () => {
    for (const said of [(asked: Asked) => result(asked, 2), () => undefined, () => null])
      await served(
        said,
        async (ask, { asked }) => {
          assert.match(await ask(), /starttls_refused|no_answer/)
          assert.deepEqual(
            asked.map(({ operation }) => operation),
            [EXTENDED],
          )
        },
        { allow_plain: false },
      )
  })

  it('is not heard with what was put behind the answer to StartTLS', async () => {
    // The beginning of an answer to a bind to come, of which the true answer would become the end.
    const prefix = Buffer.from('30200201036107', 'hex')
    await served(
      (asked) => Buffer.concat([result(asked), prefix]),
      async (ask, { asked }) => {
        assert.equal(await ask(), 'starttls_refused')
        assert.equal(asked.length, 1)
      },
      { allow_plain: false },
    )
  })

  it('lets nobody in by an answer without a result', async () => {
    for (const end of [
      (asked: Asked) => message(asked, 0x61, () => undefined),
      (asked: Asked) => message(asked, 0x61, (to) => to.writeInt(0)),
    ])
      await served(
        (asked) => (asked.operation === BIND ? end(asked) : result(asked)),
        async (ask) => {
          assert.equal(await ask(), 'unavailable')
        },
      )
  })

  it('keeps nobody waiting with lengths that do not fit', async () => {
    for (const hex of [
      // An attribute whose values are said to go on behind the message.
      '301b02010364160401783011300f04017531840fffffff0401610401',
      // A message of 4 GB, one that is no message, one without an end.
      '3084ffffffff',
      '3184000000ff',
      '3080',
      '300602010361840f',
      '30050201036400',
    ])
      await served(
        (asked) => (asked.operation === SEARCH ? Buffer.from(hex.padEnd(80, '0'), 'hex') : result(asked)),
        async (ask) => {
          assert.match(await ask(), /^unavailable|no_answer$/, hex)
        },
      )
  })

  it('is given up when it hangs at any step', async () => {
    for (const step of [BIND, SEARCH])
      await served(
        (asked) => (asked.operation === step ? undefined : result(asked)),
        async (ask) => {
          assert.equal(await ask(), 'no_answer')
        },
      )
    await served(
      (asked) => (asked.operation === SEARCH ? null : result(asked)),
      async (ask) => {
        assert.equal(await ask(), 'no_answer')
      },
    )
  })

  it('sends nobody elsewhere', async () => {
    const elsewhere = await scriptedLdap((asked) => result(asked))
    try {
      await served(
        (asked) => (asked.operation === SEARCH ? result(asked, 10) : result(asked)),
        async (ask) => {
          assert.equal(await ask(), 'referral_refused')
        },
      )
      await served(
        (asked) =>
          asked.operation === SEARCH
            ? Buffer.concat([reference(asked, `${elsewhere.url}/dc=corp`), result(asked)])
            : result(asked),
        async (ask) => {
          assert.equal(await ask(), 'nobody')
        },
      )
      assert.equal(elsewhere.asked.length, 0)
    } finally {
      await elsewhere.close()
    }
  })

  it('tells all or nothing: a part of the groups is none of them', async () => {
    const group = (asked: Asked) => entry(asked, 'cn=dev,ou=groups,dc=corp,dc=test', { cn: ['dev'] })
    for (const part of [
      (asked: Asked) => Buffer.concat([group(asked), result(asked, 4)]),
      (asked: Asked) => Buffer.concat([group(asked), result(asked, 3)]),
      // An empty page, behind which there are others.
      (asked: Asked) => result(asked, 0, nextPage('more')),
    ])
      await served(
        (asked) => {
          if (asked.operation !== SEARCH) return result(asked)
          return asked.bytes.includes('member') ? part(asked) : Buffer.concat([entry(asked, DN, ANN), result(asked)])
        },
        async (ask) => {
          assert.equal(await ask(), 'directory_partial')
        },
        { group_base: 'ou=groups,dc=corp,dc=test' },
      )
  })

  it('has a circle of groups without end, and more of them than count', async () => {
    let made = 0
    await served(
      (asked) => {
        if (asked.operation !== SEARCH) return result(asked)
        const dn = asked.bytes.includes('member') ? `cn=g${made++},ou=groups,dc=corp,dc=test` : DN
        return Buffer.concat([entry(asked, dn, { ...ANN, cn: [dn] }), result(asked)])
      },
      async (ask) => {
        assert.equal(await ask(), 'too_many_groups')
      },
      { group_base: 'ou=groups,dc=corp,dc=test' },
    )
    assert(made < 30)
  })

  it("is asked for groups of groups by Active Directory's rule", async () => {
    await served(
      (asked) => (asked.operation === SEARCH ? Buffer.concat([entry(asked, DN, ANN), result(asked)]) : result(asked)),
      async (ask, { asked }) => {
        assert.equal(await ask(), 'id-of-ann')
        const searches = asked.filter(({ operation }) => operation === SEARCH)
        assert.deepEqual(
          searches.map(({ bytes }) => bytes.includes('1.2.840.113556.1.4.1941')),
          [false, true],
        )
      },
      { group_base: 'ou=groups,dc=corp,dc=test', group_nesting: 'chain' },
    )
  })

  it('cannot tell by how long it takes that somebody is not there', async () => {
    const slowly = 300
    let isThere = true
    const late: Record<number, number> = { [BIND]: slowly }
    await served(
      (asked) =>
        asked.operation === SEARCH
          ? isThere
            ? Buffer.concat([entry(asked, DN, ANN), result(asked)])
            : result(asked)
          : result(asked, asked.bytes.includes(PASSWORD) ? 49 : 0),
      async (ask) => {
        assert.equal(await ask(), 'nobody')
        isThere = false
        const startMs = performance.now()
        assert.equal(await ask(), 'nobody')
        // One bind for who searches, and as long as another.
        assert(performance.now() - startMs >= 2 * slowly - 50)
      },
      {},
      late,
    )
  })

  it('deactivates nobody by a part of an answer, or by an id that two have', async () => {
    for (const [said, reason] of [
      [(asked: Asked) => Buffer.concat([entry(asked, DN, ANN), result(asked, 4)]), 'directory_partial'],
      [(asked: Asked) => result(asked, 0, nextPage('more')), 'directory_partial'],
      [
        (asked: Asked) => Buffer.concat([entry(asked, DN, ANN), entry(asked, `cn=a,${DN}`, ANN), result(asked)]),
        'id_ambiguous',
      ],
      [() => null, 'no_answer'],
    ] as const) {
      const changed: string[] = []
      await served(
        (asked) => (asked.operation === SEARCH ? said(asked) : result(asked)),
        async (_, __, provider) => {
          const outcome = await reasonOf(provider.sync?.(true, AbortSignal.timeout(5_000)))
          assert.equal(outcome, reason)
          assert.deepEqual(changed, [])
        },
        {},
        {},
        parts(changed),
      )
    }
  })
})

type Ask = () => Promise<string>

async function served(
  answer: (asked: Asked) => Buffer | undefined | null,
  work: (ask: Ask, server: ScriptedLdap, provider: ReturnType<typeof ldap.open>) => Promise<void>,
  more: object = {},
  late: Record<number, number> = {},
  own: ProviderParts = parts([]),
): Promise<void> {
  const server = await scriptedLdap(answer, late)
  try {
    const settings = ldap.settings.parse({
      urls: [server.url],
      allow_plain: true,
      timeout_seconds: 1,
      bind_dn: 'cn=reader,dc=corp,dc=test',
      bind_password: 'the password of who searches',
      user_base: 'ou=people,dc=corp,dc=test',
      ...more,
    })
    const provider = ldap.open('corp', settings, own)
    const ask = () => reasonOf(provider.password?.('ann', PASSWORD, AbortSignal.timeout(5_000)))
    await work(ask, server, provider)
  } finally {
    await server.close()
  }
}

/** The subject, or why there is none. */
async function reasonOf(asked: Promise<unknown> | undefined): Promise<string> {
  try {
    return ((await asked) as Identity | undefined)?.subject ?? 'nobody'
  } catch (error) {
    return error instanceof RegistryError ? error.code : String(error)
  }
}

/** With three accounts, and a list of what is done to them. */
function parts(changed: string[]): ProviderParts {
  const change = async (_: string, subject: string) => void changed.push(subject)
  const linked = ['id-of-ann', 'b', 'c'].map((subject) => ({
    provider: 'corp',
    subject,
    user: subject,
    isDisabled: false,
  }))
  const federation = { linked: async () => linked, deactivate: change, reactivate: change, renew: change }
  return { guard: guard(['127.0.0.1']), nowMs: Date.now, federation } as unknown as ProviderParts
}
