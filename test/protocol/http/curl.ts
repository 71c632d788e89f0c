/** The real curl, for what a client must see. */
import { execFile } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { missing, program } from '../../clients/client.js'

/** A test that needs it. */
export function withCurl(name: string, run: (t: TestContext) => Promise<void>): void {
  void test(name, missing(program('curl')), run)
}

export interface Curled {
  status: number
  headers: Record<string, string>
  body: Buffer
  exitCode: number
  /** With `-v`: what curl says about the connection. */
  log: string
}

/** `-s -i` and these arguments. The headers are those of the last reply, after a 100 or a redirect. */
export async function curl(...parameters: string[]): Promise<Curled> {
  const { stdout, stderr, exitCode } = await run(['-s', '-i', '--max-time', '20', ...parameters])
  let rest = stdout
  let head = ''
  while (rest.subarray(0, 5).toString() === 'HTTP/') {
    const end = rest.indexOf('\r\n\r\n')
    head = rest.subarray(0, end).toString()
    rest = rest.subarray(end + 4)
  }
  const [line = '', ...fields] = head.split('\r\n')
  const pairs = fields.map((field) => [field.split(':', 1)[0]?.toLowerCase() ?? '', field.replace(/^[^:]*:\s*/, '')])
  return {
    status: Number(line.split(' ')[1]),
    headers: Object.fromEntries(pairs),
    body: rest,
    exitCode,
    log: stderr.toString(),
  }
}

async function run(parameters: string[]): Promise<{ stdout: Buffer; stderr: Buffer; exitCode: number }> {
  return await new Promise((resolve) => {
    const options = { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 } as const
    execFile('curl', parameters, options, (error, stdout, stderr) => {
      resolve({ stdout, stderr, exitCode: typeof error?.code === 'number' ? error.code : 0 })
    })
  })
}
