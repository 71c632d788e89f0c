/** go.mod files and what they say; undefined: they cannot be read. test/clients/go.test.ts asks Go's own parser the same. */
import type { GoMod } from '../../../formats/go/go-mod.js'

const M = 'example.com/m'

export const GO_MODS: [text: string, said: GoMod | undefined][] = [
  [`module ${M}`, { module: M, retracted: [] }],
  [`module ${M}\n\ngo 1.18\n`, { module: M, retracted: [] }],
  [`\n// Deprecated: use another.\nmodule ${M} // here\r\n`, { module: M, retracted: [] }],
  [`module "${M}"\n`, { module: M, retracted: [] }],
  [`module \`${M}\`\n`, undefined],
  [`module '${M}'\n`, undefined],
  [`module (\n\t${M}\n)\n`, { module: M, retracted: [] }],
  [`module ${M}//comment\n`, { module: M, retracted: [] }],
  [`module ${M}\nrequire ()\nretract ( )\n`, { module: M, retracted: [] }],
  [`module ${M}\nretract v1.0.0\n`, { module: M, retracted: [['v1.0.0', 'v1.0.0']] }],
  [`module ${M}\nretract [v1.0.0, v1.9.9] // why\n`, { module: M, retracted: [['v1.0.0', 'v1.9.9']] }],
  [`module ${M}\nretract [v1.0.0,v1.9.9]\n`, { module: M, retracted: [['v1.0.0', 'v1.9.9']] }],
  [
    `module ${M}\n// all\nretract (\n\tv1.0.0\n\n\t"v1.1.0" // bad\n\t[v2.0.0+incompatible, v3.0.0+incompatible]\n) // end\n`,
    {
      module: M,
      retracted: [
        ['v1.0.0', 'v1.0.0'],
        ['v1.1.0', 'v1.1.0'],
        ['v2.0.0+incompatible', 'v3.0.0+incompatible'],
      ],
    },
  ],
  [`module ${M}\nretract nonsense\nretract [v1.0.0\nretract\n`, { module: M, retracted: [] }],
  [`module ${M}\nretract v1.0.0 v1.1.0\n`, { module: M, retracted: [['v1.0.0', 'v1.0.0']] }],
  [`module ${M}\nretract v1.0.0 (\n\tv1.1.0\n)\n`, { module: M, retracted: [] }],
  [`module ${M}\nunknown words (\n\tretract v1.0.0\n)\nfuture [x]\n`, { module: M, retracted: [] }],
  [`module ${M}\nreplace a => ./b/*.c\n`, undefined],
  [`module ${M}\nreplace "a b" => "./c d"\n`, { module: M, retracted: [] }],
  ['', undefined],
  ['go 1.18\n', undefined],
  ['module\n', undefined],
  ['module a b\n', undefined],
  [`module ${M}\nmodule ${M}\n`, undefined],
  [`module "${M}\n`, undefined],
  [`module ${M}\nretract (\n\tv1.0.0\n`, undefined],
  [`module ${M}\nretract (\n\tv1.0.0\n) x\n`, undefined],
  [`module ${M} /* comment */\n`, undefined],
  [`\ufeffmodule ${M}\n`, undefined],
  [`<html>module ${M}</html>\n`, undefined],
]
