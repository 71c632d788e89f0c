/** The one spelling under which a name is taken once, whatever its case and compatible forms. */
export function keyOf(name: string): string {
  return name.normalize('NFKC').toLowerCase()
}
