/** Which versions of a module are listed, and which is the latest: as the go command would find from a version control system. */
import { compareVersions, parseVersion, pseudoOf, type Version } from './version.js'

/** A published version, with what its go.mod says. */
export interface Known {
  version: Version
  hasGoMod: boolean
  retracted: [low: string, high: string][]
}

/** For @v/list, in order: no pseudo-versions; retracted ones too, since the go command finds out by itself. */
export function listed(known: readonly Known[]): Known[] {
  const tagged = known.filter(({ version }) => !pseudoOf(version)).sort(inOrder)
  const compatible = tagged.filter(({ version }) => !version.isIncompatible)
  // Whoever has a go.mod by now has left the versions behind that were made without one.
  return compatible.at(-1)?.hasGoMod ? compatible : tagged
}

/** For @latest: releases before prereleases before pseudo-versions, not retracted ones if there is another. */
export function latest(known: readonly Known[]): Known | undefined {
  const ranked = rank(known)
  const { retracted = [] } = ranked[0] ?? {}
  return ranked.find(({ version }) => !isWithin(version, retracted)) ?? ranked[0]
}

/** The version that a revision, or a part of one, names; undefined also when it names several. */
export function ofRevision(known: readonly Known[], revision: string): Known | undefined {
  if (!/^[0-9a-f]{7,64}$/.test(revision)) return undefined
  const found = known.filter(({ version }) => {
    const own = pseudoOf(version)?.revision
    return own !== undefined && (own.startsWith(revision) || revision.startsWith(own))
  })
  return found.length === 1 ? found[0] : undefined
}

function rank(known: readonly Known[]): Known[] {
  const tagged = listed(known).reverse()
  const pseudo = known.filter(({ version }) => pseudoOf(version))
  return [
    ...tagged.filter(({ version }) => version.prerelease === ''),
    ...tagged.filter(({ version }) => version.prerelease !== ''),
    ...pseudo.sort(byTime).reverse(),
  ]
}

function isWithin(version: Version, intervals: Known['retracted']): boolean {
  return intervals.some(([from, to]) => {
    const [low, high] = [parseVersion(from), parseVersion(to)]
    return low && high && compareVersions(low, version) <= 0 && compareVersions(version, high) <= 0
  })
}

function byTime(a: Known, b: Known): number {
  const [one, other] = [pseudoOf(a.version)?.time ?? '', pseudoOf(b.version)?.time ?? '']
  return one === other ? inOrder(a, b) : one < other ? -1 : 1
}

function inOrder(a: Known, b: Known): number {
  return compareVersions(a.version, b.version)
}
