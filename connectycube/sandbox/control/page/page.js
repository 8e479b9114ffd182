// The dashboard of the sandbox: the frame around the tabs. It only reads and writes the
// control area.

import { render } from './vendor/preact.js'
import { useEffect, useState } from './vendor/hooks.js'
import { hasToken, onConnection, setToken, usePoll } from './api.js'
import { kept } from './kept.js'
import { html, Icon, spoken, Trouble } from './ui.js'
import { Overview } from './overview.js'
import { Users } from './users.js'
import { Chats } from './chats.js'
import { Traffic } from './traffic.js'
import { Outbox } from './outbox.js'
import { Faults } from './faults.js'
import { Clock } from './clock.js'

const tabs = { overview: Overview, users: Users, chats: Chats, traffic: Traffic, outbox: Outbox, faults: Faults, clock: Clock }
const titles = { overview: 'Overview', users: 'Users', chats: 'Chats', traffic: 'Traffic', outbox: 'Outbox', faults: 'Faults', clock: 'Clock' }

/** Reads the tab and its argument from the address, such as #/chats/ID. */
function place() {
  const [, tab, argument] = location.hash.split('/')
  return { tab: Object.hasOwn(tabs, tab ?? '') ? tab : 'overview', argument: decoded(argument ?? '') }
}

/** A text that is no valid encoding, such as a lone %, stays as it is. */
function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function usePlace() {
  const [at, setAt] = useState(place)
  useEffect(() => {
    const moved = () => setAt(place())
    addEventListener('hashchange', moved)
    return () => removeEventListener('hashchange', moved)
  }, [])
  useEffect(() => {
    document.title = `${titles[at.tab]} · ConnectyCube sandbox`
  }, [at.tab])
  return at
}

/** Asks for the control token, which machines other than the sandbox's own need. */
function Door({ onOpen }) {
  const [text, setText] = useState('')
  const open = (event) => {
    event.preventDefault()
    setToken(text)
    setText('')
    onOpen()
  }
  return html`<main class="wide"><form class="card stack door" onSubmit=${open}>
    <h2>Control token</h2>
    <p>Under this address, the page needs the token with which the sandbox was started: <code>SANDBOX_CONTROL_TOKEN</code>. It is kept until you close this tab. On the machine of the sandbox, open <code>http://localhost</code> with the same port instead.</p>
    <label class="field">Token <input type="password" autocomplete="off" required value=${text} onInput=${(e) => setText(e.target.value)} /></label>
    <${Trouble} text=${hasToken() && 'The sandbox did not accept the token.'} />
    <div class="row"><button class="primary">Open</button></div>
  </form></main>`
}

/** The address of a tab. The chats open where they were left, and all of them from their own tab. */
const addressOf = (tab, at) => (tab === 'chats' && at.tab !== tab ? `#/chats/${kept('conversation') ?? ''}` : `#/${tab}`)

function Frame({ at, connection }) {
  const { data: overview, reload } = usePoll('overview')
  const armed = usePoll('faults').data?.faults.length ?? 0
  const Tab = tabs[at.tab]
  return html`<header class="top">
      <div class="wide brand"><h1><${Icon} name="cube" />ConnectyCube sandbox</h1>
        <span class="row small muted">${overview?.server && html`<a href=${overview.server} rel="noreferrer">cubegate server</a>`}
          ${overview && html`<span>Application <strong class="num">${overview.application_id}</strong></span>`}
          ${overview && overview.clock.ahead !== '0s' && html`<a class="badge warn" href="#/clock">Clock ${spoken(overview.clock.ahead)} ahead</a>`}
          ${armed > 0 && html`<a class="badge bad" href="#/faults">${armed} ${armed === 1 ? 'fault' : 'faults'} armed</a>`}</span></div>
      <nav class="wide" aria-label="Dashboard"><ul>${Object.keys(tabs).map((tab) => html`<li key=${tab}><a href=${addressOf(tab, at)} aria-current=${tab === at.tab ? 'page' : undefined}>${titles[tab]}</a></li>`)}</ul></nav>
    </header>
    <div class="wide">${connection === 'lost' && html`<p class="notice bad trouble" role="alert">The sandbox cannot be reached. This page tries again.</p>`}</div>
    <main class="wide">${overview && html`<${Tab} key=${at.tab} overview=${overview} argument=${at.argument} reload=${reload} />`}</main>`
}

function App() {
  const [connection, setConnection] = useState('open')
  const [visit, setVisit] = useState(0)
  const at = usePlace()
  useEffect(() => onConnection(setConnection), [])
  if (connection === 'denied') {
    return html`<${Door} onOpen=${() => {
      setConnection('open')
      setVisit(visit + 1)
    }} />`
  }
  return html`<${Frame} key=${visit} at=${at} connection=${connection} />`
}

const app = document.getElementById('app')
app.replaceChildren() // Preact keeps what is there
render(html`<${App} />`, app)
