/** A page that leads elsewhere at once. Not a redirect: what a form of ours led to may not be redirected to another origin. */
import type { Reply } from '../../../protocol/http/reply.js'

export function onward(address: string): Reply {
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      refresh: `0; url=${address}`,
    },
    body: '<!doctype html><meta charset="utf-8"><title>Cairn</title>',
  }
}
