/** The shape of the tree, kept by a test: who may import whom, what formats may not touch, one file that knows the HTTP library. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { it } from 'node:test'
import { packageRoot } from '../deploy/root.js'

const root = packageRoot()
const MAY_IMPORT: Record<string, string[]> = {
  protocol: ['protocol'],
  formats: ['formats', 'protocol'],
  admin: ['admin', 'protocol'],
  primary: ['primary', 'admin', 'formats', 'protocol'],
  node: ['node', 'formats', 'protocol'],
  deploy: ['deploy', 'primary', 'node', 'formats', 'admin', 'protocol', 'bench'],
}

interface Source {
  path: string
  imports: string[]
}

const sources = Object.keys(MAY_IMPORT).flatMap((folder) => [...files(folder)].map(read))

it('dependencies point down only', () => {
  const wrong = sources.flatMap(({ path, imports }) => {
    const allowed = MAY_IMPORT[top(path)] ?? []
    return imports
      .filter((target) => !target.includes(':') && isLocal(target) && !allowed.includes(top(target)))
      .map((target) => `${path} -> ${target}`)
  })
  assert.deepEqual(wrong, [])
})

it('formats touch neither disk nor network', () => {
  const forbidden = /^node:(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|cluster)/
  const wrong = sources
    .filter(({ path }) => top(path) === 'formats')
    .flatMap(({ path, imports }) => imports.filter((name) => forbidden.test(name)).map((name) => `${path} -> ${name}`))
  assert.deepEqual(wrong, [])
})

it('a page for administration has no way to anything but REST', () => {
  const own = ['console', 'form', 'html', 'rest', 'table', 'words'].map((name) => `admin/${name}.ts`)
  const allowed = new Set([...own, 'protocol/api/shapes.ts', 'protocol/errors.ts', 'zod'])
  const wrong = sources
    .filter(({ path }) => path.startsWith('admin/pages/'))
    .flatMap(({ path, imports }) =>
      imports
        .filter((target) => !target.startsWith('admin/pages/') && !allowed.has(target))
        .map((target) => `${path} -> ${target}`),
    )
  assert.deepEqual(wrong, [])
})

it('one file knows uWebSockets.js', () => {
  assert.deepEqual(
    sources.filter(({ imports }) => imports.includes('uWebSockets.js')).map(({ path }) => path),
    ['protocol/http/server.ts'],
  )
})

it('there are no import cycles', () => {
  const graph = new Map(sources.map(({ path, imports }) => [path, imports.filter(isLocal)]))
  const done = new Set<string>()
  const visit = (path: string, trail: string[]): void => {
    if (trail.includes(path)) assert.fail(`cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`)
    if (done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
})

function* files(folder: string): Iterable<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) yield* files(path)
    else if (entry.name.endsWith('.ts')) yield path
  }
}

/** Imports that exist at run time: a type-only import makes no dependency between running parts. */
function read(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const found = text.matchAll(
    /^(?:import|export)\s(?!type\b)[^'"]*?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm,
  )
  return { path, imports: [...found].map(([, a, b]) => resolve(path, a ?? b ?? '')) }
}

function resolve(from: string, name: string): string {
  return name.startsWith('.')
    ? normalize(relative(root, join(root, dirname(from), name))).replace(/\.js$/, '.ts')
    : name
}

function isLocal(target: string): boolean {
  return target.endsWith('.ts')
}

function top(path: string): string {
  return path.split('/')[0] ?? ''
}

it('what has a deadline has one that is not collected as garbage', () => {
  const wrong = sources
    .map(({ path }) => path)
    .filter((path) => path !== 'protocol/deadline.ts')
    .filter((path) => readFileSync(join(root, path), 'utf8').includes('AbortSignal.timeout('))
  assert.deepEqual(wrong, [])
})
