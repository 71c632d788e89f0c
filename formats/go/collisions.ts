/** Finds files that would be one file, or file and folder at once, on a disk that does not know case (golang.org/x/mod/zip). */

export class Collisions {
  readonly #known = new Map<string, { path: string; isFolder: boolean }>()

  /** What is wrong with a path beside those before it; undefined: nothing. Its folders are looked at too. */
  fault(path: string, isFolder: boolean): string | undefined {
    const folded = foldCase(path)
    const other = this.#known.get(folded)
    if (!other) this.#known.set(folded, { path, isFolder })
    else if (other.path !== path) return `has files that differ only by case: ${shown(other.path)} and ${shown(path)}`
    else if (other.isFolder !== isFolder) return `has an entry that is file and folder: ${shown(path)}`
    else if (!isFolder) return `has two files of one name: ${shown(path)}`
    // Whoever is known as a folder has had its own folders looked at.
    else return undefined
    const slash = path.lastIndexOf('/')
    return slash < 0 ? undefined : this.fault(path.slice(0, slash), true)
  }
}

/** Equal for texts that Unicode's simple case folding makes equal. */
function foldCase(text: string): string {
  if (!/[^\0-@[-\x7f]/.test(text)) return text
  return Array.from(text, foldCharacter).join('')
}

/** Its capital is I, but it is no i. */
const DOTLESS_I = '\u0131'

function foldCharacter(character: string): string {
  if (character === DOTLESS_I) return character
  return simply(simply(character, character.toUpperCase()), simply(character, character.toUpperCase()).toLowerCase())
}

/** Only mappings to one character are simple. */
function simply(character: string, mapped: string): string {
  return Array.from(mapped).length === 1 ? mapped : character
}

function shown(path: string): string {
  return JSON.stringify(path.slice(0, 200))
}
