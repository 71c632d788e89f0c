/** Fleets larger than a machine: the product's own swarm code on a simulated clock and network, and a curve of who has the blob when. */
import { writeFile } from 'node:fs/promises'
import type { Bench, Context, Row } from '../bench.js'
import { curves } from '../simulation/curves.js'
import { type Outcome, type Scenario, simulate } from '../simulation/scenario.js'

export const simulation: Bench = {
  name: 'simulation',
  title: 'simulated fleets of 8 and 64 (256 with --full) nodes that want one blob at once',
  run,
}

const MIB = 1_048_576
const BLOB = 64 * MIB
const PICTURE = 'bench/simulation/crowd.svg'

async function run({ quick, full, say }: Context): Promise<Row[]> {
  const fleets = quick ? [8] : full ? [8, 64, 256] : [8, 64]
  const most = fleets.at(-1) ?? 8
  const measured: { name: string; outcome: Outcome }[] = []
  const measure = async (name: string, scenario: Partial<Scenario>): Promise<void> => {
    say(name)
    measured.push({ name, outcome: await simulate({ nodes: most, seed: 1, blobBytes: BLOB, ...scenario }) })
  }
  for (const nodes of fleets) await measure(`${nodes} nodes`, { nodes })
  await measure(`${most} nodes, 5 % slow, 5 % hostile`, { slow: 0.05, hostile: 0.05 })
  await measure(`${most} nodes, half replaced in a minute`, { churn: 0.5 })
  if (!quick) await writeFile(PICTURE, curves(measured))
  return measured.map(row)
}

function row({ name, outcome }: { name: string; outcome: Outcome }): Row {
  const { seconds, boundS, copies, messages, controlBytes, waste, unserved, errors } = outcome
  return {
    what: `simulated, ${name}: the last one's time ÷ the pipeline bound`,
    value: (seconds.at(-1) ?? Number.NaN) / boundS,
    unit: 'x',
    must: { be: 'at most', value: 1.5 },
    raw: {
      'copies out of the primary': [copies],
      'median ÷ bound': [(seconds[seconds.length >> 1] ?? Number.NaN) / boundS],
      'messages, bytes of control per node': [messages, controlBytes],
      'received beyond the size ÷ size': [waste],
      'not served, refusals that clients saw': [unserved, errors],
    },
    notes: [
      '64 MiB, 100 Mbit/s each way and 1 ms for each node and the primary; hostile and slow nodes are not counted.',
    ],
  }
}
