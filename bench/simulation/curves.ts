/** Outcomes as a picture: of the nodes, how many have the blob after how many times the pipeline bound. */
import type { Outcome } from './scenario.js'

const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [720, 320, 48, 16, 40]
const COLOURS = ['#2f6f5e', '#b5542d', '#3b5b92', '#8a6d1b', '#7a3b79']
const MOST = 4

export function curves(measured: readonly { name: string; outcome: Outcome }[]): string {
  const parts = [0, 1, 2, 3, MOST].map((times) => tick(times))
  for (const [at, { name, outcome }] of measured.entries()) {
    const colour = COLOURS[at % COLOURS.length] ?? ''
    parts.push(`<path d="${path(outcome)}" fill="none" stroke="${colour}" stroke-width="2"/>`)
    parts.push(`<text x="${WIDTH - 250}" y="${HEIGHT - BOTTOM - 90 + at * 18}" fill="${colour}">${name}</text>`)
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="4" y="${TOP + 12}" fill="#444">100 %</text><text x="4" y="${HEIGHT - BOTTOM}" fill="#444">0</text>
<text x="${LEFT}" y="${HEIGHT - 6}" fill="#444">time ÷ (size ÷ rate × (1 + ⌊log2 nodes⌋ ÷ pieces)): nodes that have all</text>
${parts.join('\n')}
</svg>
`
}

function tick(times: number): string {
  const at = x(times).toFixed(1)
  return `<path d="M${at} ${TOP}V${HEIGHT - BOTTOM}" stroke="#ddd"/><text x="${at}" y="${HEIGHT - BOTTOM + 16}" fill="#444" text-anchor="middle">${times}</text>`
}

function path({ seconds, boundS }: Outcome): string {
  const steps = seconds.map((each, at) => {
    const share = (at + 1) / seconds.length
    return `H${x(each / boundS).toFixed(1)}V${y(share).toFixed(1)}`
  })
  return `M${x(0)} ${y(0)}${steps.join('')}`
}

function x(times: number): number {
  return LEFT + (Math.min(times, MOST) / MOST) * (WIDTH - LEFT - 16)
}

function y(share: number): number {
  return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
}
