/** Semantic versions as people write them in rules: `1.4` is 1.4.0. */
import semver from 'semver'

/** undefined: one of them is no version. */
export function compareSemver(a: string, b: string): number | undefined {
  const [one, other] = [whole(a), whole(b)]
  return one && other ? semver.compare(one, other) : undefined
}

function whole(text: string): semver.SemVer | null {
  return semver.parse(/^\d+(?:\.\d+)?$/.test(text) ? `${text}${text.includes('.') ? '' : '.0'}.0` : text)
}
