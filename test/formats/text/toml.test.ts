import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseToml, type TomlValue } from '../../../formats/text/toml.js'

/** By their paths; entries of lists by their places. */
function texts(source: string): Record<string, string> {
  const found: Record<string, string> = {}
  const walk = (value: TomlValue, path: string[]): void => {
    if (typeof value === 'string') found[path.join('/')] = value
    else for (const [key, each] of value.entries()) walk(each, [...path, String(key)])
  }
  walk(parseToml(source, 'It'), [])
  return found
}

describe('texts in TOML', () => {
  const documents: [what: string, source: string, found: Record<string, string>][] = [
    ['nothing', '', {}],
    ['comments and blank lines', '# a = "b"\n\n \t\n# end', {}],
    ['a pair', 'a = "b"', { a: 'b' }],
    [
      'tables, dotted and quoted keys',
      '[a . "b c"]\nd."e.f" = \'g\'\n[h]\ni="j" # k',
      { 'a/b c/d/e.f': 'g', 'h/i': 'j' },
    ],
    ['Windows line ends', '[a]\r\nb = "c"\r\n', { 'a/b': 'c' }],
    ['escapes', String.raw`a = "\"\\\t\u00e9\U0001F980\n"`, { a: '"\\\té🦀\n' }],
    ['no escapes in literal texts', String.raw`a = 'C:\new'`, { a: 'C:\\new' }],
    [
      'a text over lines that looks like tables',
      'a = """\n[package]\nname = "x"\n"""\nb = "c"',
      {
        a: '[package]\nname = "x"\n',
        b: 'c',
      },
    ],
    ['a literal text over lines', "a = '''\n[b]\n''c\n'''", { a: "[b]\n''c\n" }],
    ['quotes before the closing quotes', 'a = """b"""""\nc = "d"', { a: 'b""', c: 'd' }],
    ['a line that is continued', 'a = """b \\\n   c"""', { a: 'b c' }],
    ['empty texts', 'a = ""\nb = \'\'\nc = """"""', { a: '', b: '', c: '' }],
    [
      'lists and inline tables; other values are left out',
      'a = 1\nb = [ "x", # ]\n  ["y = 1"], 2, ]\nc = { d = "z", e = [1] }\nf = 1979-05-27 07:32:00Z\ng = true\nh = "i"',
      { 'b/0': 'x', 'b/1/0': 'y = 1', 'c/d': 'z', h: 'i' },
    ],
    [
      'lists of tables, and tables in their last entry',
      '[[a]]\nb = "x"\n[[a]]\nb = "y"\n[a.c]\nd = "z"\n[package]\nname = "n"',
      { 'a/0/b': 'x', 'a/1/b': 'y', 'a/1/c/d': 'z', 'package/name': 'n' },
    ],
    [
      'a key that means something to objects',
      '__proto__.a = "b"\nconstructor = "c"',
      { '__proto__/a': 'b', constructor: 'c' },
    ],
  ]
  for (const [what, source, found] of documents) it(what, () => assert.deepEqual(texts(source), found))

  const broken: [what: string, source: string, sentence: RegExp][] = [
    ['a key twice', 'a = "b"\na = "c"', /a is given twice/],
    ['a key twice, by another table of the same name', '[a]\nb = "c"\n[a]\nb = "d"', /b is given twice/],
    ['a table where a text is', 'a = "b"\n[a.c]', /a is no table/],
    ['an open text', 'a = "b', /text is not closed/],
    ['a text over the end of its line', 'a = "b\nc"', /not closed on its line/],
    ['an open text over lines', 'a = """b""', /text is not closed/],
    ['an open list', 'a = [1, 2', /a value is missing|not closed/],
    ['an open inline table', 'a = { b = 1', /not closed/],
    ['an open table', '[a\nb = 1', /"]" is missing/],
    ['two pairs in a line', 'a = "b" c = "d"', /line 1 a line goes on/],
    ['a key without a value', 'a =\nb = 1', /a value is missing/],
    ['a line without a key', 'a = 1\n= 2', /in line 2 a key is missing/],
    ['an unknown escape', String.raw`a = "\q"`, /unknown escape/],
    ['half a surrogate pair', String.raw`a = "\ud800"`, /impossible escape/],
    ['lists in lists without end', `a = ${'['.repeat(200)}`, /too deep/],
  ]
  for (const [what, source, sentence] of broken)
    it(`${what} is refused`, () => assert.throws(() => texts(source), { kind: 'invalid', message: sentence }))

  it('long documents of one kind of character are read', () => {
    const length = 4 * 1024 * 1024
    for (const part of [' ', '\n', '#\n', '#', '\r\n'])
      assert.deepEqual(texts(`${part.repeat(length / part.length)}\na = "b"`), { a: 'b' })
    assert.equal(texts(`a = "${'b'.repeat(length)}"`).a?.length, length)
    assert.throws(() => texts('b'.repeat(length)), { kind: 'invalid' })
  })
})
