/** A real OpenLDAP server with TLS and a company in it: some people whom tests know, and thousands whom they do not; groups of groups. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client as Ldap } from 'ldapts'
import { dnValue } from '../../primary/identity/ldap/names.js'
import { type Client, program, succeeds } from '../clients/client.js'
import { selfSigned } from './certificate.js'
import { freePort, until } from './fleet.js'

export const SLAPD: Client = found('slapd')
const SLAPADD: Client = found('slapadd')

export const BASE = 'dc=corp,dc=test'
export const PEOPLE = `ou=people,${BASE}`
export const GROUPS = `ou=groups,${BASE}`
export const READER = { bind_dn: `cn=reader,${BASE}`, bind_password: 'the password of who searches' }
const ROOT = { name: `cn=root,${BASE}`, password: 'the password of who may all' }

export interface TestSlapd {
  ldap: string
  ldaps: string
  /** PEM: it signed its own certificate. */
  ca: string
  /** By whoever may change everything. */
  change(work: (root: Ldap) => Promise<unknown>): Promise<void>
  kill(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

export interface Person {
  uid: string
  id?: string
  password?: string
  /** Lines of LDIF. */
  more?: string[]
}

export interface SlapdDraft {
  people?: Person[]
  /** How many more; their names are u0, u1, …, and their passwords end the same. */
  crowd?: number
  /** Distinguished names of members, by the group's own first part. */
  groups?: Record<string, string[]>
  /** More lines of its configuration for the database. */
  configuration?: string[]
  isWithoutTls?: boolean
  certificate?: { host?: string; isOver?: boolean }
}

export function dnOf(uid: string): string {
  return `uid=${dnValue(uid)},${PEOPLE}`
}

export async function testSlapd(draft: SlapdDraft = {}): Promise<TestSlapd> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-slapd-'))
  const [conf, ldif, key, certificate] = ['slapd.conf', 'all.ldif', 'tls.key', 'tls.crt'].map((name) => join(dir, name))
  if (!conf || !ldif || !key || !certificate) throw new Error('unreachable')
  await mkdir(join(dir, 'db'))
  await selfSigned(key, certificate, 'localhost', draft.certificate)
  const tls = draft.isWithoutTls ? [] : [`TLSCertificateFile ${certificate}`, `TLSCertificateKeyFile ${key}`]
  await writeFile(conf, [...before(dir), ...tls, ...database(dir), ...(draft.configuration ?? [])].join('\n'))
  await writeFile(ldif, entries(draft).join('\n'))
  await succeeds(SLAPADD, ['-q', '-f', conf, '-l', ldif], { cwd: dir, home: dir })
  const [port, securePort] = [await freePort(), await freePort()]
  const [ldap, ldaps] = [`ldap://127.0.0.1:${port}`, `ldaps://127.0.0.1:${securePort}`]
  let child: ChildProcess | undefined
  const kill = async () => {
    const ended = new Promise((resolve) => child?.once('close', resolve))
    if (child?.kill('SIGKILL')) await ended
    child = undefined
  }
  const start = async () => {
    const listening = draft.isWithoutTls ? ldap : `${ldap} ${ldaps}`
    child = spawn(SLAPD.command?.[0] ?? '', ['-d', '0', '-f', conf, '-h', listening], { stdio: 'ignore' })
    await until(() => answers(port))
  }
  await start()
  return {
    ldap,
    ldaps,
    ca: await readFile(certificate, 'utf8'),
    change: async (work) => {
      const root = new Ldap({ url: ldap })
      await root.bind(ROOT.name, ROOT.password)
      await work(root).finally(() => root.unbind())
    },
    kill,
    start,
    close: async () => {
      await kill()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

function before(dir: string): string[] {
  const schema = ['core', 'cosine', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`)
  const attribute = (number: number, name: string, rule: string, syntax: number) =>
    `attributetype ( 1.2.840.113556.1.4.${number} NAME '${name}' EQUALITY ${rule} SYNTAX 1.3.6.1.4.1.1466.115.121.1.${syntax} SINGLE-VALUE )`
  return [
    ...schema,
    // As much of Active Directory's as its preset asks for.
    attribute(2, 'objectGUID', 'octetStringMatch', 40),
    attribute(8, 'userAccountControl', 'integerMatch', 27),
    attribute(221, 'sAMAccountName', 'caseIgnoreMatch', 15),
    attribute(782, 'objectCategory', 'caseIgnoreMatch', 15),
    "objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP top AUXILIARY MAY ( objectGUID $ userAccountControl $ sAMAccountName $ objectCategory ) )",
    'modulepath /usr/lib/ldap',
    'moduleload back_mdb',
    `pidfile ${join(dir, 'pid')}`,
    // Whoever wants more than 50 must ask page by page.
    'sizelimit size.soft=50 size.hard=50 size.prtotal=unlimited',
  ]
}

function database(dir: string): string[] {
  return [
    'database mdb',
    `suffix "${BASE}"`,
    `rootdn "${ROOT.name}"`,
    `rootpw "${ROOT.password}"`,
    `directory ${join(dir, 'db')}`,
    'maxsize 268435456',
    'dbnosync',
    'index objectClass,uid,member,entryUUID eq',
    'access to attrs=userPassword by anonymous auth by * none',
    'access to * by users read by * none',
  ]
}

function entries({ people = [], crowd = 0, groups = {} }: SlapdDraft): string[] {
  const lines: string[] = []
  const add = (dn: string, classes: string[], more: string[]) =>
    lines.push(`dn: ${dn}`, ...classes.map((one) => `objectClass: ${one}`), ...more, '')
  add(BASE, ['dcObject', 'organization'], ['dc: corp', 'o: Corp'])
  for (const name of ['people', 'groups']) add(`ou=${name},${BASE}`, ['organizationalUnit'], [`ou: ${name}`])
  const reader = ['cn: reader', `userPassword: ${READER.bind_password}`]
  add(READER.bind_dn, ['organizationalRole', 'simpleSecurityObject'], reader)
  const all = [...people, ...Array.from({ length: crowd }, (_, i) => ({ uid: `u${i}`, password: `password of u${i}` }))]
  for (const { uid, id = randomUUID(), password, more = [] } of all as Person[]) {
    const own = [...more, `uid: ${uid}`, `cn: ${uid}`, `sn: ${uid}`, `entryUUID: ${id}`]
    add(dnOf(uid), ['inetOrgPerson'], password === undefined ? own : [...own, `userPassword: ${password}`])
  }
  for (const [first, members] of Object.entries(groups))
    add(
      `${first},${GROUPS}`,
      ['groupOfNames'],
      members.map((member) => `member: ${member}`),
    )
  return lines
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return true
  } finally {
    socket.destroy()
  }
}

/** Debian keeps servers where only root looks for programs. */
function found(name: string): Client {
  const onPath = program(name)
  return onPath.command ? onPath : { ...program(`../sbin/${name}`), name }
}
