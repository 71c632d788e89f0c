/** Some real parts of what takes many; the others are only passed on. */
export function over(real: object): object {
  const unused: object = new Proxy(() => unused, { get: (_, name) => (name === Symbol.iterator ? undefined : unused) })
  return new Proxy(real, { get: (target, name) => Reflect.get(target, name) ?? unused })
}
