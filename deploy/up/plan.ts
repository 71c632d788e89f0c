/**
 * Which parts `cairn up` runs, with which ports, folders and command lines. Pure.
 *
 *     DIR/primary  DIR/node-1 …          data            DIR/primary.pid  DIR/node-1.pid …   process ids
 *     DIR/logs/primary.log …             JSON lines      DIR/up.pid                          of `up` itself
 *
 * The primary listens on P (HTTP) and P + 1000 (TLS, for nodes), node i on P + i (HTTP) and P + i + 2000 (mesh).
 */
import { join } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'
import { fleetPortOf } from '../config/parts.js'
import { type Key, optionOf, type Part, SETTINGS, type Values, variableOf } from '../config/table.js'

export interface PlannedPart {
  part: 'primary' | 'node'
  name: string
  data: string
  log: string
  port: number
  /** Other ports that it needs. */
  ports: number[]
  /** From this machine. */
  url: string
  /** After `node cairn.js`; starts this part again by itself. */
  args: string[]
  environment: Record<string, string>
}

export interface Plan {
  dir: string
  logs: string
  primary: PlannedPart
  nodes: PlannedPart[]
}

export interface PlanInput {
  values: Values
  nodes: number
  /** What was typed after `up`, by key: handed on to the parts that it concerns. */
  options: Readonly<Record<string, string | undefined>>
  environment: Readonly<Record<string, string | undefined>>
}

const MESH_PORT_OFFSET = 2000
const MAX_PORT = 65_535
/** Given to each part by name, and never handed on. */
const OWN: readonly Key[] = ['data', 'port', 'fleetPort', 'meshPort', 'bulkPort', 'join', 'name', 'url', 'token']

/** Throws `invalid` for ports that do not fit. */
export function plan(input: PlanInput): Plan {
  const { values, nodes } = input
  if (values.port === 0) throw usage('`up` needs a port that is known beforehand: --port must not be 0')
  if (values.port + nodes > MAX_PORT) throw usage(`--port ${values.port} leaves no room for ${nodes} nodes above it`)
  const dir = values.data
  return {
    dir,
    logs: join(dir, 'logs'),
    primary: primaryOf(input, dir),
    nodes: Array.from({ length: nodes }, (_, i) => nodeOf(input, dir, i + 1)),
  }
}

function primaryOf(input: PlanInput, dir: string): PlannedPart {
  const fleetPort = input.values.fleetPort ?? fleetPortOf(input.values.port)
  const typed = input.options.fleetPort === undefined ? [] : [optionOf('fleetPort'), String(fleetPort)]
  return planned(input, { part: 'primary', name: 'primary', dir, port: input.values.port, ports: [fleetPort], typed })
}

function nodeOf(input: PlanInput, dir: string, index: number): PlannedPart {
  const port = input.values.port + index
  const meshPort = port + MESH_PORT_OFFSET <= MAX_PORT ? port + MESH_PORT_OFFSET : port - MESH_PORT_OFFSET
  const typed = [optionOf('meshPort'), String(meshPort)]
  return planned(input, { part: 'node', name: `node-${index}`, dir, port, ports: [meshPort], typed })
}

interface Draft {
  part: 'primary' | 'node'
  name: string
  dir: string
  port: number
  ports: number[]
  typed: string[]
}

function planned(input: PlanInput, { part, name, dir, port, ports, typed }: Draft): PlannedPart {
  const data = join(dir, name)
  const own = [optionOf('data'), data, optionOf('port'), String(port), ...typed]
  return {
    part,
    name,
    data,
    port,
    ports,
    log: join(dir, 'logs', `${name}.log`),
    url: `http://${reachable(input.values.host)}:${port}`,
    args: [part, ...own, ...handedOn(part, input.options)],
    environment: environmentOf(part, input.environment),
  }
}

function handedOn(part: Part, options: PlanInput['options']): string[] {
  return keysOf(part)
    .filter((key) => !OWN.includes(key))
    .flatMap((key) => {
      const text = options[key]
      return text === undefined ? [] : [optionOf(key), text]
    })
}

/** Settings that are not this part's stay out of its environment, secrets above all. */
function environmentOf(part: Part, environment: PlanInput['environment']): Record<string, string> {
  const kept = keysOf(part).filter((key) => !OWN.includes(key) || (key === 'fleetPort' && part === 'primary'))
  const variables = ['CAIRN_CONFIG', ...kept.map(variableOf)]
  const entries = Object.entries(environment).filter(([name]) => !name.startsWith('CAIRN_') || variables.includes(name))
  return Object.fromEntries(entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

function keysOf(part: Part): Key[] {
  return (Object.keys(SETTINGS) as Key[]).filter((key) => (SETTINGS[key].parts as readonly Part[]).includes(part))
}

/** An address that means "all" is reached on this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

function usage(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'usage' })
}
