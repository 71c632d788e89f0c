#!/usr/bin/env node
/** The program `cairn`. This file runs; everything that can be imported is in program.ts. */
import { homedir } from 'node:os'
import { runProgram } from './program.js'

const code = await runProgram(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  input: process.stdin,
  watched: process.stderr.isTTY === true,
  interactive: process.stdin.isTTY === true && process.stderr.isTTY === true,
  environment: process.env,
  home: homedir(),
  folder: process.cwd(),
})
// Connections that are kept for later must not keep the process.
process.exitCode = code
process.stdout.write('', () => process.exit(code))
