/**
 * SCIM's filters and paths (RFC 7644, sections 3.4.2.2 and 3.5.2), parsed against what a resource is made of: what names nothing is
 * refused here. Length, depth and number of comparisons are limited. Nothing of a filter's text goes on; its values do, as values.
 */
import { invalid } from './error.js'
import { type Attribute, attributeOf, comparedAt, type Path, pathOf, type ResourceType } from './schema.js'

const OPERATORS = ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le'] as const
export type Operator = (typeof OPERATORS)[number]

export type Filter =
  | { kind: 'compare'; path: Path; operator: Operator; value: string | boolean | null }
  | { kind: 'present'; path: Path }
  /** Some element of a list is as the filter says; its paths are those of the element. */
  | { kind: 'some'; path: Path; filter: Filter }
  | { kind: 'and' | 'or'; left: Filter; right: Filter }
  | { kind: 'not'; filter: Filter }

/** What a PATCH operation is about: an attribute, some elements of a list, or a sub-attribute of either. */
export interface Target extends Path {
  filter?: Filter
}

const MAX_CHARACTERS = 4096
const MAX_DEPTH = 16
const MAX_COMPARISONS = 50
const TOKEN = /\s*(?:([()[\]])|("(?:[^"\\]|\\.)*")|([^\s()[\]"]+))/y

type Resolve = (written: string) => Path | undefined

/** Throws `invalidFilter`. */
export function parseFilter(text: string, resource: ResourceType): Filter {
  const parser = new Parser(text)
  const filter = parser.either((written) => pathOf(resource, written), 0)
  parser.end()
  return filter
}

/** `emails[type eq "work"].value` and the like. Throws `invalidPath`. */
export function parseTarget(text: string, resource: ResourceType): Target {
  const bracket = text.indexOf('[')
  const path = pathOf(resource, bracket < 0 ? text : text.slice(0, bracket))
  if (!path) throw invalid('invalidPath', `There is no attribute ${text.slice(0, 200)}`)
  if (bracket < 0) return path
  if (!path.attribute.multiValued || path.sub)
    throw invalid('invalidPath', `${path.attribute.name} has no elements to choose from`)
  const parser = new Parser(text.slice(bracket))
  const filter = parser.elements(path.attribute, 0)
  const sub = parser.subAttribute(path.attribute)
  parser.end()
  return { ...path, filter, ...(sub ? { sub } : {}) }
}

class Parser {
  readonly #tokens: string[] = []
  #at = 0
  #comparisons = 0

  constructor(text: string) {
    if (text.length > MAX_CHARACTERS) throw wrong(`it is longer than ${MAX_CHARACTERS} characters`)
    TOKEN.lastIndex = 0
    const whole = text.trimEnd()
    while (TOKEN.lastIndex < whole.length) {
      const from = TOKEN.lastIndex
      const [, bracket, quoted, word] = TOKEN.exec(whole) ?? []
      const token = bracket ?? quoted ?? word
      if (token === undefined) throw wrong(`nobody can read on from character ${from + 1}`)
      this.#tokens.push(token)
    }
  }

  either(resolve: Resolve, depth: number): Filter {
    if (depth > MAX_DEPTH) throw wrong(`it is deeper than ${MAX_DEPTH} brackets`)
    let left = this.#all(resolve, depth)
    while (this.#takes('or')) left = { kind: 'or', left, right: this.#all(resolve, depth) }
    return left
  }

  /** `[…]` over the elements of a list. */
  elements(list: Attribute, depth: number): Filter {
    this.#demand('[')
    const filter = this.either((written) => subPath(list, written), depth + 1)
    this.#demand(']')
    return filter
  }

  /** `.value` behind brackets, which the RFC has in paths, and Entra in filters also. */
  subAttribute(of: Attribute): Attribute | undefined {
    const token = this.#tokens[this.#at]
    if (!token?.startsWith('.')) return undefined
    this.#at++
    const sub = attributeOf(of.sub ?? [], token.slice(1))
    if (!sub) throw invalid('invalidPath', `${of.name} has no ${token.slice(1, 100)}`)
    return sub
  }

  end(): void {
    const token = this.#tokens[this.#at]
    if (token !== undefined) throw wrong(`${shown(token)} is too much`)
  }

  #all(resolve: Resolve, depth: number): Filter {
    let left = this.#one(resolve, depth)
    while (this.#takes('and')) left = { kind: 'and', left, right: this.#one(resolve, depth) }
    return left
  }

  #one(resolve: Resolve, depth: number): Filter {
    const negated = this.#takes('not')
    if (negated || this.#tokens[this.#at] === '(') {
      this.#demand('(')
      const filter = this.either(resolve, depth + 1)
      this.#demand(')')
      return negated ? { kind: 'not', filter } : filter
    }
    const written = this.#next()
    const path = resolve(written)
    if (!path) throw wrong(`there is no attribute ${shown(written)}`)
    if (this.#tokens[this.#at] !== '[') return this.#comparison(path)
    if (!path.attribute.multiValued || path.sub) throw wrong(`${shown(written)} has no elements`)
    const filter = this.elements(path.attribute, depth)
    const sub = this.subAttribute(path.attribute)
    if (!sub) return { kind: 'some', path, filter }
    const right = this.#comparison({ attribute: sub })
    return { kind: 'some', path, filter: { kind: 'and', left: filter, right } }
  }

  #comparison(path: Path): Filter {
    if (++this.#comparisons > MAX_COMPARISONS) throw wrong(`it has more than ${MAX_COMPARISONS} comparisons`)
    const word = this.#next().toLowerCase()
    if (word === 'pr') return { kind: 'present', path }
    const operator = OPERATORS.find((known) => known === word)
    if (!operator) throw wrong(`there is no operator ${shown(word)}`)
    const of = comparedAt(path)
    if (!of) throw wrong(`${path.attribute.name} has no value of its own to compare with`)
    return { kind: 'compare', path, operator, value: this.#value(of, operator) }
  }

  #value(of: Attribute, operator: Operator): string | boolean | null {
    const value = literal(this.#next())
    if (value === null) {
      if (operator === 'eq' || operator === 'ne') return null
      throw wrong(`null is compared with eq and ne only`)
    }
    if (of.type === 'boolean') {
      const truth = truthOf(value)
      if (truth === undefined || (operator !== 'eq' && operator !== 'ne'))
        throw wrong(`${of.name} is true or false, and compared with eq and ne only`)
      return truth
    }
    if (typeof value !== 'string') throw wrong(`${of.name} is compared with a text in quotes`)
    if (of.type !== 'dateTime') return value
    if (Number.isNaN(Date.parse(value)) || ['co', 'sw', 'ew'].includes(operator))
      throw wrong(`${of.name} is a time, and compared with times`)
    return new Date(value).toISOString()
  }

  #takes(word: string): boolean {
    const found = this.#tokens[this.#at]?.toLowerCase() === word
    if (found) this.#at++
    return found
  }

  #demand(token: string): void {
    if (this.#next() !== token) throw wrong(`a ${token} is missing`)
  }

  #next(): string {
    const token = this.#tokens[this.#at++]
    if (token === undefined) throw wrong('it ends too early')
    return token
  }
}

/** "True" is how Entra writes it. */
export function truthOf(value: unknown): boolean | undefined {
  const word = typeof value === 'string' ? value.toLowerCase() : value
  if (word === true || word === 'true') return true
  return word === false || word === 'false' ? false : undefined
}

function subPath(list: Attribute, written: string): Path | undefined {
  const attribute = attributeOf(list.sub ?? [], written)
  return attribute && { attribute }
}

function literal(token: string): unknown {
  try {
    return JSON.parse(token)
  } catch {
    throw wrong(`${shown(token)} is no value; texts are in double quotes`)
  }
}

function shown(token: string): string {
  return token.slice(0, 100)
}

function wrong(what: string) {
  return invalid('invalidFilter', `The filter cannot be used: ${what}`)
}
