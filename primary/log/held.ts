/** The log in Postgres, for proofs and for those who ask for parts of it. */
import type pg from 'pg'
import type { HeldLog } from '../../protocol/log/prover.js'
import type { RangeLog } from '../../protocol/log/ranges.js'
import { LogTree } from '../../protocol/log/tree.js'
import { readLog, type Signer } from './signer.js'

type Signing = Pick<Signer, 'latest' | 'onBatch'>

/** What was committed a moment ago is signed within 20 ms, unless something is wrong. */
const SIGNED_MS = 1_000

export function heldLog(pool: Pick<pg.Pool, 'query'>, signer: Signing): HeldLog {
  return {
    newest: async (least = 0) => {
      if (signer.latest.checkpoint.number < least) await signed(signer, least)
      return { number: signer.latest.checkpoint.number, note: signer.latest.note }
    },
    entry: async (number) => {
      const [found] = await readLog(pool, number - 1, 1)
      return found && 'body' in found.item && found.item.number === number ? found.item : undefined
    },
    tree: treeOf(pool),
  }
}

/** Entries that are read at a time. */
const PAGE = 128

export function rangeLog(pool: Pick<pg.Pool, 'query'>, signer: Signing): RangeLog {
  return {
    length: () => signer.latest.checkpoint.number,
    async *items(start, end) {
      for (let at = start; at < end; at += PAGE)
        for (const { item } of await readLog(pool, at, Math.min(PAGE, end - at))) yield item
    },
    tree: treeOf(pool),
    note: async (start, end) => {
      const { rows } = await pool.query<{ note: string }>({
        name: 'log_note',
        text: `select note from checkpoint where number > $1 and number <= $2 order by epoch desc, number desc limit 1`,
        values: [start, end],
      })
      return rows[0]?.note
    },
  }
}

function treeOf(pool: Pick<pg.Pool, 'query'>): LogTree {
  return new LogTree(async (start, end) => {
    const { rows } = await pool.query<{ leaf: Buffer }>({
      name: 'log_leaves',
      text: 'select leaf from log where number > $1 and number <= $2 order by number',
      values: [start, end],
    })
    return Buffer.concat(rows.map(({ leaf }) => leaf))
  })
}

function signed(signer: Signing, least: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      stop()
      resolve()
    }
    const timer = setTimeout(done, SIGNED_MS)
    const stop = signer.onBatch(({ checkpoint }) => checkpoint.number >= least && done())
  })
}
