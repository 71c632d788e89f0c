/** The gate in one process: decisions that it remembers, decisions that it makes, and the first one after a grant has come. */
import { Gate } from '../../protocol/access/gate.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import type { Principal } from '../../protocol/ports.js'
import { FLEET, type GrantRecord, type RepositoryRecord, type Step, type UserRecord } from '../../protocol/records.js'
import type { Bench, Context, Row } from '../bench.js'
import { median } from '../statistics.js'

export const decisions: Bench = {
  name: 'decisions',
  title: 'decisions per second with 10,000 users, 1,000 groups, 100,000 grants and 1,000 repositories',
  run,
}

const USERS = 10_000
const GROUPS = 1000
const GRANTS = 100_000
const REPOSITORIES = 1000
const GROUPS_EACH = 5
const ROUNDS = 5
const CACHED = 2_000_000
const COLD = 200_000

async function run({ quick, say }: Context): Promise<Row[]> {
  const ledger = await MemoryLedger.open()
  say('making users, groups, grants and repositories')
  const note = (steps: Step[]) => {
    const { state } = ledger
    const changes = steps.map((step, i) => ({
      number: state.head.number + 1 + i,
      change: { ...step, scope: FLEET, at: '', by: 'bench' },
    }))
    state.note(changes, { epoch: 1, number: state.head.number + steps.length })
  }
  note(setUp())
  const { state } = ledger
  const gate = new Gate(state, { verify: async () => false })
  const repositories = state.repositories()
  const principals = state.accessAll('user').map((user): Principal => ({ name: user.name, user, token: undefined }))
  const ask = (i: number) => {
    const principal = principals[i % USERS]
    // A pair comes again after ten million.
    const repository = repositories[(i + Math.floor(i / USERS)) % REPOSITORIES]
    return principal && repository && gate.decide(principal, 'read', repository, 'some/path').allowed
  }
  const rate = (count: number, of: (i: number) => unknown) => {
    const start = performance.now()
    for (let i = 0; i < count; i++) of(i)
    return (count / (performance.now() - start)) * 1000
  }
  const rounds = quick ? 1 : ROUNDS
  const cold: number[] = []
  const cached: number[] = []
  const afterMs: number[] = []
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    note([grantStep(GRANTS + round)])
    ask(round)
    afterMs.push(performance.now() - start)
    cold.push(rate(COLD, ask))
    cached.push(rate(CACHED, (i) => ask(i % 1000)))
  }
  const size = '10,000 users, 1,000 groups, 100,000 grants, 1,000 repositories'
  return [
    {
      what: `decisions that are remembered, one process, ${size}`,
      value: median(cached),
      unit: '/s',
      must: { be: 'at least', value: 1_000_000 },
      raw: { 'decisions/s': cached },
      notes: ['A thousand pairs of user and repository in turn, each with a path.'],
    },
    {
      what: 'the same, none of them remembered',
      value: median(cold),
      unit: '/s',
      must: { be: 'at least', value: 100_000 },
      raw: { 'decisions/s': cold },
      notes: [`Users are in ${GROUPS_EACH} groups each; every pair is new since the last change.`],
    },
    {
      what: 'a grant that comes, and the first decision after it',
      value: median(afterMs),
      unit: 'ms',
      raw: { ms: afterMs },
      notes: ['What a change of access costs the process that hears of it.'],
    },
  ]
}

function setUp(): Step[] {
  return [
    ...range(REPOSITORIES).map(
      (i): Step => ({ kind: 'repository', key: `repo-${i}`, record: repository(`repo-${i}`) }),
    ),
    ...range(USERS).map((i): Step => ({ kind: 'access', subject: 'user', id: `user-${i}`, record: user(i) })),
    ...range(GRANTS).map(grantStep),
  ]
}

/** One in ten is for a group, one in ten for a pattern, one in ten for a path, one in fifty denies. */
function grantStep(i: number): Step {
  const group = i % 10 === 0
  const record: GrantRecord = {
    id: `grant-${i}`,
    subject: group
      ? { kind: 'group', name: `group-${(i / 10) % GROUPS}` }
      : { kind: 'user', name: `user-${i % USERS}` },
    repository: i % 10 === 1 ? `repo-${i % 97}*` : `repo-${(i * 7919) % REPOSITORIES}`,
    path: i % 10 === 2 ? 'some/' : '',
    ...(i % 50 === 3 ? { actions: [], denied: ['read', 'write'], effect: 'deny' } : { actions: ['read', 'write'] }),
  }
  return { kind: 'access', subject: 'grant', id: record.id, record }
}

function user(i: number): UserRecord {
  const groups = range(GROUPS_EACH).map((n) => `group-${(i + n * 211) % GROUPS}`)
  return { id: `user-${i}`, name: `user-${i}`, email: '', admin: false, disabled: false, groups, createdAt: '' }
}

function repository(key: string): RepositoryRecord {
  return {
    scope: key,
    key,
    name: key,
    format: 'generic',
    type: 'local',
    public: false,
    redeploy: false,
    description: '',
    members: [],
    createdAt: '',
  }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
