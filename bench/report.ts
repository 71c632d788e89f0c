/** The table, and the raw figures below it. */
import { type Row, type Unit, verdict } from './bench.js'
import { median } from './statistics.js'

export interface Reported {
  bench: string
  seconds: number
  rows: Row[]
  /** Why it could not run. */
  failed?: string
}

export function table(results: readonly Reported[]): string {
  const lines = results.flatMap(({ bench, rows, failed }) => [
    ...rows.map((row) => [bench, row.what, measured(row), required(row), verdict(row)]),
    ...(failed === undefined ? [] : [[bench, failed, '', '', 'failed']]),
  ])
  return columns([['bench', 'what', 'measured', 'must be', ''], ...lines])
}

export function details(row: Row): string {
  if ('skipped' in row) return `${row.what}\n  skipped: ${row.skipped}`
  const series = Object.entries(row.raw).map(([name, values]) => `  ${name}: ${summary(values)}`)
  return [`${row.what}: ${measured(row)}`, ...series, ...row.notes.map((note) => `  ${note}`)].join('\n')
}

function measured(row: Row): string {
  return 'skipped' in row ? `skipped: ${row.skipped}` : `${figure(row.value)}${unitText(row.unit)}`
}

function required(row: Row): string {
  if ('skipped' in row || !row.must) return ''
  const { be, value } = row.must
  return `${be === 'at least' ? '≥' : be === 'at most' ? '≤' : '<'} ${figure(value)}${unitText(row.unit)}`
}

function unitText(unit: Unit): string {
  return unit === 'x' ? '' : ` ${unit}`
}

/** Short lists in full, long ones by their ends. */
function summary(values: readonly number[]): string {
  if (values.length === 1) return figure(values[0] ?? Number.NaN)
  const middle = `median ${figure(median(values))}`
  if (values.length <= 12) return `${values.map(figure).join('  ')}  (${middle})`
  return `${middle}, from ${figure(Math.min(...values))} to ${figure(Math.max(...values))}, ${values.length} figures`
}

function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  return value.toLocaleString('en-US', { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 3 })
}

function columns(lines: string[][]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
