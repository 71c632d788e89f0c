/**
 * What several clients did and saw, as a model that judges it: at most one digest per path, ever, anywhere; what was acknowledged
 * is there in the end, unless somebody may have removed it; what was removed stays gone; a tag that one client owns is where it
 * put it last. A request without an answer, or with 5xx, may have happened or not.
 */
import assert from 'node:assert/strict'

export type Outcome = 'done' | 'refused' | 'unknown'

export interface PathModel {
  /** Digests of all that was sent. */
  sent: Set<string>
  /** Of the write that was acknowledged. */
  written: string | undefined
  /** Every digest that a complete reply of 200 had, and who showed it. */
  seen: Map<string, string>
  removal: 'none' | 'possible' | 'acknowledged'
}

export interface TagModel {
  /** Values that it may have: the last acknowledged one, and those that were attempted since. */
  possible: Set<string | undefined>
}

export class History {
  readonly paths = new Map<string, PathModel>()
  readonly tags = new Map<string, TagModel>()
  readonly counts = { done: 0, refused: 0, unknown: 0, reads: 0 }

  path(path: string): PathModel {
    const known = this.paths.get(path) ?? {
      sent: new Set(),
      written: undefined,
      seen: new Map(),
      removal: 'none' as const,
    }
    this.paths.set(path, known)
    return known
  }

  wrote(path: string, digest: string, outcome: Outcome): void {
    this.counts[outcome]++
    const model = this.path(path)
    if (outcome !== 'done') return
    assert.ok(
      model.written === undefined || model.written === digest,
      `${path} was acknowledged twice, with different bytes`,
    )
    model.written = digest
    this.saw(path, digest, 'its writer')
  }

  /** Before the request is sent: from now on it may be gone. */
  removing(path: string): void {
    const model = this.path(path)
    if (model.removal === 'none') model.removal = 'possible'
  }

  removed(path: string, outcome: Outcome): void {
    this.counts[outcome]++
    if (outcome === 'done') this.path(path).removal = 'acknowledged'
  }

  saw(path: string, digest: string, where: string): void {
    const { seen, sent } = this.path(path)
    assert.ok(sent.has(digest), `${where} showed bytes of ${path} that nobody has sent`)
    for (const [other, before] of seen)
      assert.equal(digest, other, `${where} and ${before} showed different bytes of ${path}`)
    seen.set(digest, where)
  }

  tagging(tag: string, version: string | undefined): void {
    const model = this.tags.get(tag) ?? { possible: new Set([undefined]) }
    model.possible.add(version)
    this.tags.set(tag, model)
  }

  tagged(tag: string, version: string | undefined, outcome: Outcome): void {
    this.counts[outcome]++
    if (outcome === 'done') this.tags.set(tag, { possible: new Set([version]) })
  }

  /** What there must and must not be once all faults are over. `digest`: of a path, or undefined when it is not there. */
  async settle(digest: (path: string) => Promise<string | undefined>, where: string): Promise<void> {
    for (const [path, model] of this.paths) {
      const found = await digest(path)
      if (found !== undefined) this.saw(path, found, where)
      if (model.removal === 'acknowledged') assert.equal(found, undefined, `${where}: ${path} was removed and is there`)
      if (model.removal === 'none' && model.written !== undefined)
        assert.equal(found, model.written, `${where}: ${path} was acknowledged and is gone`)
    }
  }
}
