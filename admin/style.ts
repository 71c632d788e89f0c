/** The page's style sheet. Served as a file of its own: the policy allows no inline styles. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f6f5f2; --card: #fff; --ink: #22262b; --soft: #63696f; --line: #e2dfd8; --accent: #2f6f5e;
  --good: #1f7a4d; --bad: #b3372f; --wait: #8a6a12;
  font: 16px/1.5 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --ground: #15181b; --card: #1d2125; --ink: #e6e4df; --soft: #9aa1a8; --line: #2e343a; --accent: #7cc4ae;
    --good: #62c793; --bad: #f0837b; --wait: #d9b655; }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink); }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 1.25rem; }
header { display: flex; align-items: center; gap: 1rem; padding-top: 2rem; color: var(--accent); }
header h1 { margin: 0; line-height: 1.1; color: var(--ink); font-size: 1.7rem; letter-spacing: -.02em; }
header p { margin: 0; color: var(--soft); }
header .viewer { margin-left: auto; display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1rem; font-size: .9rem; }
header a { color: inherit; }
button, .way { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .3rem .8rem; cursor: pointer; }
button:hover, .way:hover { border-color: var(--accent); }
input { font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .6rem; }
.entry { max-width: 26rem; margin: 1rem auto; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.25rem; }
.entry form { display: grid; gap: .8rem; }
.entry label { display: grid; gap: .2rem; color: var(--soft); font-size: .9rem; }
.entry input { color: var(--ink); font-size: 1rem; }
.ways { list-style: none; padding: 0; display: grid; gap: .5rem; text-align: center; }
.way { display: block; text-decoration: none; }
.secret { font-size: 1.1rem; letter-spacing: .05em; }
.problem { color: var(--bad); margin: 0 0 .8rem; }
section { margin-bottom: 2rem; }
h2 { font-size: 1.05rem; margin: 0 0 .6rem; }
h3 { font-size: .8rem; margin: 0; color: var(--soft); font-weight: 600; text-transform: uppercase; letter-spacing: .05em; }
a { color: var(--accent); text-underline-offset: .15em; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: .875em; }
small, .note, .empty { color: var(--soft); }
small { font-weight: 400; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; }
.figures > div, .scroll, details, .empty { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.figures > div { padding: .9rem 1rem; }
.value { margin: .15rem 0 0; font-size: 1.35rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.note { margin: 0; font-size: .85rem; }
.empty { margin: 0; padding: .9rem 1rem; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .55rem 1rem; text-align: left; vertical-align: middle; white-space: nowrap; }
thead th { color: var(--soft); font-size: .8rem; font-weight: 600; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; }
.state::before { content: ''; display: inline-block; width: .55em; height: .55em; margin-right: .45em; border-radius: 50%; background: var(--soft); }
.state.online::before { background: var(--good); }
.state.offline::before { background: var(--bad); }
.state.pending::before { background: var(--wait); }
meter { width: 5rem; height: .8rem; vertical-align: middle; margin-right: .4rem; }
details { margin-bottom: .5rem; }
summary { padding: .6rem 1rem; cursor: pointer; }
pre { margin: 0; padding: .2rem 1rem 1rem; overflow-x: auto; }
.skip { position: absolute; left: -100rem; padding: .4rem .8rem; background: var(--card); }
.skip:focus { left: 1rem; top: .5rem; }
nav.pages { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
nav.pages ul { list-style: none; margin: 0; padding: 0 0 .5rem; display: flex; flex-wrap: wrap; gap: .1rem .4rem; border-bottom: 1px solid var(--line); }
nav.pages a { display: block; padding: .25rem .6rem; border-radius: .4rem; color: var(--soft); text-decoration: none; }
nav.pages a:hover { color: var(--accent); }
nav.pages a[aria-current] { color: var(--ink); background: var(--card); border: 1px solid var(--line); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.title { font-size: 1.3rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
section > h3, .scroll + h3 { margin: 1.2rem 0 .5rem; }
.said { color: var(--good); margin: 0 0 .8rem; }
form.fields { display: flex; flex-wrap: wrap; align-items: end; gap: .7rem .9rem; margin: 0 0 .9rem; }
form.fields > * { margin: 0; }
form.fields > .problem { flex-basis: 100%; }
form.fields .field { display: grid; gap: .15rem; color: var(--soft); font-size: .85rem; flex: 0 1 15rem; align-self: start; }
form.fields .field small { line-height: 1.3; }
form.fields > button { align-self: start; margin-top: 1.35rem; }
label.check { display: inline-flex; align-items: center; gap: .35rem; font-size: .95rem; align-self: start; margin-top: 1.6rem !important; }
fieldset { border: 0; padding: 0; margin: 0; display: flex; flex-wrap: wrap; gap: 0 .9rem; align-self: start; }
fieldset legend { padding: 0; color: var(--soft); font-size: .85rem; }
fieldset label.check { margin-top: .35rem !important; }
select, textarea { font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: .4rem; padding: .4rem .6rem; max-width: 100%; }
form.fields input:not([type=checkbox]), form.fields select { width: 100%; color: var(--ink); font-size: 1rem; }
form.one { display: inline; }
.actions { display: flex; flex-wrap: wrap; gap: .4rem; margin-bottom: .6rem; }
details > form, details > p, details > div { padding: .2rem 1rem 0; }
details > form.fields { margin-bottom: .9rem; }
.facts { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: 0 0 1rem; }
.facts dt { color: var(--soft); font-size: .8rem; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.pager { display: flex; gap: 1rem; padding: .6rem 0; }
.reasons { list-style: none; margin: 0; padding: 0; white-space: normal; font-size: .9rem; min-width: 16rem; }
.reasons .deny { color: var(--bad); }
main > form.fields:first-of-type { margin-top: .2rem; }
.dense { margin-bottom: .9rem; }
.dense th, .dense td { padding: .4rem .8rem; white-space: normal; overflow-wrap: break-word; }
.dense tbody th { min-width: 7rem; }
.dense td:last-child:has(form) { text-align: right; }
.subject { min-width: 16rem; }
.note + .scroll { margin-top: .6rem; }
.dense code { overflow-wrap: anywhere; }
.dense time, .dense .state, .dense button { white-space: nowrap; }
.dense small { overflow-wrap: anywhere; }
.dense button { padding: .15rem .6rem; font-size: .9rem; }
.dense .actions { justify-content: end; margin: 0; flex-wrap: nowrap; }
.dense details { border: 0; background: none; margin: 0; text-align: left; }
.dense summary { padding: 0; }
.dense details > form { padding: .5rem 0 0; }
p code { overflow-wrap: anywhere; }
.once { padding: .7rem 1rem; background: var(--ground); border: 1px solid var(--line); border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
footer { color: var(--soft); font-size: .85rem; }
footer p { margin: 0; }
@media (max-width: 40rem) {
  header, main, footer, nav.pages { padding-left: .9rem; padding-right: .9rem; }
  form.fields .field { flex: 1 1 100%; }
  form.fields > button, label.check { margin-top: 0 !important; }
  .dense th, .dense td { padding: .4rem .6rem; }
  nav.pages a { padding: .2rem .4rem; }
  header { flex-wrap: wrap; } header .viewer { margin-left: 0; width: 100%; } }
`
