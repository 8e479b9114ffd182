// The tab with all that an app needs to reach the sandbox.

import { useState } from './vendor/hooks.js'
import { ask } from './api.js'
import { Confirm, CopyButton, dateOf, html, number, Trouble, useAct } from './ui.js'

const Fact = ({ name, value, label }) => html`<dt>${name}</dt><dd><code>${value}</code><${CopyButton} text=${value} label=${label ?? `Copy ${name}`} /></dd>`

function Application({ overview }) {
  return html`<section class="card"><h2>Application</h2>
    <dl class="facts">
      <${Fact} name="Application ID" value=${String(overview.application_id)} />
      <${Fact} name="Authorization key" value=${overview.auth_key} />
      <${Fact} name="Administration key" value=${overview.admin_key} />
      <${Fact} name="Chat domain" value=${overview.chat_domain} />
    </dl></section>`
}

function Connect({ overview }) {
  const [chosen, setChosen] = useState(0)
  const place = overview.places[chosen] ?? overview.places[0]
  return html`<section class="card span"><div class="row between"><h2>Connect an app</h2>
      <label class="row small where-field">The app runs on
        <select value=${chosen} onChange=${(e) => setChosen(Number(e.target.value))}>
          ${overview.places.map((p, i) => html`<option key=${p.url} value=${i}>${p.for}: ${p.url}</option>`)}</select></label></div>
    <div class="stack">
      <dl class="facts">
        <${Fact} name="REST API" value=${place.url} />
        <${Fact} name="Chat" value=${place.chat_url} />
      </dl>
      <div><h3>JavaScript SDK</h3>
        <p class="small muted">Keep all of it: with it, no version of the SDK sends anything to the real ConnectyCube.${place.url.startsWith('https') ? '' : ' SDK 5 and older, React Native and the chat widget need https: start with --tls.'}</p></div>
      <div class="code"><pre id="snippet">${place.snippet}</pre><${CopyButton} text=${place.snippet} label="Copy the SDK snippet" /></div>
    </div></section>`
}

function Provider({ provider }) {
  const { last } = provider
  return html`<section class="card"><h2>Identity provider</h2>
    ${provider.enabled
      ? html`<div class="stack"><p class="row"><span class=${`badge ${last ? (last.problem ? 'bad' : 'good') : ''}`}>${last ? (last.problem ? 'Failing' : 'Working') : 'Not asked yet'}</span>
          ${last && html`<span class="small muted">last asked at ${dateOf(last.at)}</span>`}</p>
          ${last?.problem && html`<p class="notice bad">${last.problem}</p>`}
          <p>Each login with a password is a question to:</p>
          <pre>${provider.method} ${provider.url}</pre></div>`
      : html`<div class="stack"><p><span class="badge">Off</span></p><p class="muted">The sandbox checks passwords itself. <code>SANDBOX_CIDP_URL</code> asks your own server.</p></div>`}
  </section>`
}

function Network({ overview }) {
  const addresses = overview.places.filter((p) => p.for.startsWith('phones'))
  return html`<section class="card"><h2>Network</h2><div class="stack">
    ${overview.in_network
      ? html`<p>Phones in the same network reach the sandbox at:</p><ul class="stack">${(addresses.length ? addresses : overview.places.slice(0, 1)).map((p) => html`<li key=${p.url} class="row between"><code>${p.url}</code><${CopyButton} text=${p.url} label=${`Copy ${p.url}`} /></li>`)}</ul>`
      : html`<p class="muted">Only this machine reaches the sandbox. Start it with <code>--lan</code> for phones in the same Wi-Fi.</p>`}
    ${overview.certificate
      ? html`<p>Devices must trust <a href=${overview.certificate}>the certificate</a> once.</p>`
      : html`<p class="muted">It speaks http. Start it with <code>--tls</code> for SDKs that need https.</p>`}
    ${overview.server && html`<p>A cubegate server runs beside it: <a href=${overview.server} rel="noreferrer">${overview.server}</a></p>`}
  </div></section>`
}

const switches = [
  ['deny_auto_create', 'Refuse logins of unknown users', 'As with “Deny” in the dashboard of ConnectyCube; else a login creates the user.'],
  ['v1_users', 'First users API', 'SDK 3.6 and older find users with it. A new application has it off.'],
]

function Settings({ settings, reload }) {
  const { act, busy, error } = useAct()
  const [wanted, setWanted] = useState({}) // until the sandbox confirms it
  const set = async (name, on) => {
    setWanted({ [name]: on })
    await act(async () => {
      await ask('PUT', 'settings', { ...settings, [name]: on })
      await reload()
    })
    setWanted({})
  }
  return html`<section class="card"><h2>Settings of the application</h2><div class="stack">
    ${switches.map(([name, title, text]) => html`<div key=${name}><label class="check"><input type="checkbox" disabled=${busy} checked=${wanted[name] ?? settings[name]} onChange=${(e) => set(name, e.target.checked)} />${title}</label>
      <p class="small muted">${text}</p></div>`)}
    <${Trouble} text=${error} /></div></section>`
}

function Everything({ overview, reload }) {
  const [asked, setAsked] = useState(false)
  const { act, error } = useAct()
  const t = overview.totals
  const reset = () => act(async () => {
    await ask('POST', 'reset')
    setAsked(false)
    await reload()
  })
  const counts = [['users', t.users, 'users'], ['sessions', overview.sessions, 'users'], ['connections', t.sockets, 'users'], ['dialogs', t.dialogs, 'chats'], ['messages', t.messages, 'chats']]
  return html`<section class="card span"><div class="row between"><h2>Content</h2><button type="button" class="danger" onClick=${() => setAsked(true)}>Reset…</button></div>
    <ul class="totals">${counts.map(([name, n, tab]) => html`<li key=${name}><a href=${`#/${tab}`}><strong id=${`n-${name}`}>${number(n)}</strong><span class="muted">${name}</span></a></li>`)}</ul>
    <${Trouble} text=${error} />
    ${asked && html`<${Confirm} title="Reset the sandbox?" verb="Reset" onYes=${reset} onClose=${() => setAsked(false)}
      text="All users, sessions, dialogs, messages, files and faults go, and the clock returns to real time. Apps must log in again." />`}</section>`
}

export const Overview = ({ overview, reload }) => html`<div class="grid">
  <${Everything} overview=${overview} reload=${reload} />
  <${Connect} overview=${overview} />
  <${Application} overview=${overview} />
  <${Provider} provider=${overview.provider} />
  <${Network} overview=${overview} />
  <${Settings} settings=${overview.settings} reload=${reload} />
</div>`
