/** Passkeys on the pages. Browsers offer them to scripts only, so this one small script shows the forms that need it, and fills them. */
import type { PasskeyCard, Visitor } from './console.js'
import { type Content, type Html, html } from './html.js'
import { proof } from './layout.js'
import { duration } from './words.js'

export const PASSKEY_SCRIPT = `
const able = globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON !== undefined && !/^[0-9.]+$|^[[]/.test(location.hostname)
for (const form of able ? document.querySelectorAll('form[data-passkey]') : []) {
  form.hidden = false
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const { csrf, response } = form.elements
    try {
      const reply = await fetch(form.dataset.options, { method: 'POST', headers: { 'x-csrf-token': csrf?.value ?? '' } })
      const options = await reply.json()
      if (!reply.ok) throw new Error(options.detail)
      const made = form.dataset.passkey === 'new'
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) })
      response.value = JSON.stringify(made.toJSON())
      form.submit()
    } catch (error) {
      form.querySelector('output').value = error.name === 'InvalidStateError' ? 'This authenticator has one already.' : error.message
    }
  })
}
`

export function passkeyEntry(next: string): Html {
  return html`<form method="post" action="/admin/passkey" data-passkey="use" data-options="/admin/passkey/options" hidden>
<input type="hidden" name="next" value="${next}"><input type="hidden" name="response">
<button>Log in with a passkey</button> <output></output></form>`
}

export function passkeys(visitor: Visitor, known: readonly PasskeyCard[], nowMs: number): Content {
  return html`<section><h2>Passkeys</h2>
${known.length > 0 && html`<p>Logging in with a password takes a code or a passkey, and programs need an API token.</p><div class="scroll"><table><tbody>${known.map((passkey) => row(visitor, passkey, nowMs))}</tbody></table></div>`}
<form method="post" action="/admin/account/passkeys" data-passkey="new" data-options="/admin/account/passkeys/options" hidden>
${proof(visitor)}<input type="hidden" name="response">
<label>Name <input name="name" maxlength="60" value="passkey"></label><button>Add a passkey</button> <output></output></form>
<p>They need a browser that knows them, and this page opened over https by a host name.</p></section>`
}

function row(visitor: Visitor, { id, name, createdAt, usedAt }: PasskeyCard, nowMs: number): Html {
  const ago = (at: string | undefined) => (at === undefined ? 'never' : `${duration(nowMs - Date.parse(at))} ago`)
  return html`<tr><th scope="row">${name}</th><td>made ${ago(createdAt)}</td><td>used ${ago(usedAt)}</td>
<td><form method="post" action="/admin/account/passkeys/remove">${proof(visitor)}<input type="hidden" name="id" value="${id}"><button>Remove</button></form></td></tr>`
}
