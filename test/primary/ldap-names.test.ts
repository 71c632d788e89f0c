import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { dnValue, normalDn } from '../../primary/identity/ldap/names.js'

describe('distinguished names', () => {
  it('that mean the same are spelt the same', () => {
    for (const spellings of [
      ['cn=admins,dc=corp', 'CN=Admins,DC=Corp', ' cn = admins , dc=corp', 'cn=\\61dmins,dc=corp', 'cn=admins;dc=corp'],
      ['cn=cn=admins,dc=corp', 'CN=CN\\3DAdmins,dc=corp', 'cn=CN\\=admins,dc=corp'],
      ['cn=a\\, b,dc=corp', 'cn=a\\2C  b,dc=corp', 'cn=A\\2c\\20b\\20,dc=corp'],
      ['cn=a+uid=b,dc=corp', 'UID=B+CN=A,dc=corp'],
      ['cn=jörg', 'cn=J\\c3\\96RG', 'cn=JO\u0308RG'],
      ['cn=\\\\41', 'cn=\\5c41'],
    ])
      assert.equal(new Set(spellings.map(normalDn)).size, 1, spellings.join(' | '))
  })

  it('that mean another are spelt otherwise', () => {
    const names = [
      'cn=a,dc=b',
      'cn=a\\,dc=b',
      'cn=a+dc=b',
      'cn=a,dc=b,dc=c',
      'cn=a\\+dc=b',
      'cn=\\\\61',
      'cn=a',
      'sn=a',
      'cn=ab',
    ]
    const normal = names.map(normalDn)
    assert.equal(new Set(normal).size, names.length)
    assert.deepEqual(
      normal.map((name) => normalDn(name ?? '')),
      normal,
      'and stay as they are',
    )
  })

  it('are nothing else', () => {
    for (const text of ['', 'admins', 'cn=a,', ',cn=a', 'cn=a,,dc=b', '=a', 'cn=a"b"', 'cn=a\\', 'c n=a', 'cn=a,b'])
      assert.equal(normalDn(text), undefined, text)
  })

  it('keep a value together, whatever is in it', () => {
    for (const value of ['a,b', 'a+b=c', ' a', 'a ', '#a', '"a"', 'a\\', '<a;b>', 'a\0b', 'a\nb', 'ö'])
      assert.match(normalDn(`cn=${dnValue(value)},dc=corp`) ?? '', /^cn=[^,+]*,dc=corp$/, value)
    assert.equal(dnValue(' a,b\0'), '\\20a\\2cb\\00')
  })
})
