/** What goes together with whom it was given to, so that nobody who takes the name later has it. */
import type { Step, Subject } from '../../protocol/records.js'
import { type Directory, dropToken } from './directory.js'

/** The steps that take users away with their tokens and everything that was given to either. */
export function dropUsers(directory: Directory, names: readonly string[]): Step[] {
  const tokens = names.flatMap((name) => directory.tokensOf(name))
  const subjects = [
    ...names.map((name): Subject => ({ kind: 'user', name })),
    ...tokens.map(({ id }): Subject => ({ kind: 'token', name: id })),
  ]
  return [
    ...names.map((name): Step => ({ kind: 'access', subject: 'user', id: name, record: null })),
    ...tokens.map(({ id }) => dropToken(id)),
    ...takenFrom(directory, subjects),
  ]
}

/** The steps that take all grants to the subjects, and their places in projects. */
export function takenFrom(directory: Pick<Directory, 'all'>, subjects: readonly Subject[]): Step[] {
  const gone = new Set(subjects.map(keyOf))
  const grants = directory
    .all('grant')
    .filter(({ subject }) => gone.has(keyOf(subject)))
    .map(({ id }): Step => ({ kind: 'access', subject: 'grant', id, record: null }))
  const projects = directory
    .all('project')
    .filter(({ members }) => members.some((member) => gone.has(keyOf(member))))
    .map((project): Step => {
      const record = { ...project, members: project.members.filter((member) => !gone.has(keyOf(member))) }
      return { kind: 'access', subject: 'project', id: project.key, record }
    })
  return [...grants, ...projects]
}

function keyOf({ kind, name }: { kind: string; name: string }): string {
  return `${kind}\0${name}`
}
