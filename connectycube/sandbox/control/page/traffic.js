// The tab with requests and stanzas as they come.

import { useEffect, useState } from './vendor/hooks.js'
import { ask, usePoll, withQuery } from './api.js'
import { useKept } from './kept.js'
import { CopyButton, html, Icon, number, pretty, timeOf, Trouble, useAct, UserPicker, useSettled } from './ui.js'

const size = 100
const methods = ['GET', 'POST', 'PUT', 'DELETE']
const statuses = [['', 'Any'], ['2xx', '2xx, success'], ['3xx', '3xx, elsewhere'], ['4xx', '4xx, refused'], ['5xx', '5xx, failed'], ['none', 'No answer']]

const every = { on: '', user: '', method: '', status: '', path: '', fault: '' } // the filter that lets all through

export function Traffic({ argument }) {
  const [filter, setFilter] = useKept('traffic', every, /^\d+$/.test(argument) && { ...every, user: argument })
  const [cursors, setCursors] = useState([]) // of the older pages
  const [paused, setPaused] = useState(false)
  const [open, setOpen] = useState(0)
  const settled = JSON.parse(useSettled(JSON.stringify(filter)))
  const before = cursors.at(-1) ?? ''
  const { data, error, reload } = usePoll(withQuery('traffic', { ...settled, before, limit: size }), { paused: paused || before !== '' })
  const { act, error: failed } = useAct()
  const clear = () => act(async () => {
    await ask('DELETE', 'journal')
    setCursors([])
    setOpen(0)
    await reload()
  })
  const change = (name, value) => {
    setFilter((old) => ({ ...old, [name]: value }))
    setCursors([])
    if (argument && value !== argument) location.replace('#/traffic') // which would win after a reload
  }
  const entries = data?.entries ?? []
  return html`<div class="head"><h2>Traffic ${data && html`<span class="muted num">${number(data.matched)}</span>`}</h2>
      <div class="row"><span class="small muted" role="status">${paused ? 'Paused' : before ? 'Older entries' : 'Live'}</span>
        <button type="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>${paused ? 'Resume' : 'Pause'}</button>
        <button type="button" class="danger" onClick=${clear}>Clear</button></div></div>
    <${Filters} filter=${filter} change=${change} />
    <${Trouble} text=${error?.message ?? failed} />
    <section class="card list">
      ${data && !entries.length && html`<p class="empty">${data.total ? 'No entry matches.' : 'Nothing yet. Requests and stanzas appear here as they come.'}</p>`}
      <ol class="traffic" id="traffic">${entries.map((e) => html`<${Row} key=${e.id} e=${e} open=${open === e.id} onToggle=${() => setOpen(open === e.id ? 0 : e.id)} />`)}</ol>
      ${data && (data.older || before) && html`<div class="pager"><span class="small muted">${number(data.total)} entries are kept</span><span class="row">
        <button type="button" disabled=${!before} onClick=${() => setCursors(cursors.slice(0, -1))}>Newer</button>
        <button type="button" disabled=${!data.older} onClick=${() => setCursors([...cursors, entries.at(-1).id])}>Older</button></span></div>`}
    </section>`
}

function Filters({ filter, change }) {
  const set = (name) => (e) => change(name, e.target.value)
  return html`<form class="filters" role="search" aria-label="Filter the traffic" onSubmit=${(e) => e.preventDefault()}>
    <label class="field">Path or stanza<input type="search" value=${filter.path} maxlength="200" placeholder="/session" onInput=${set('path')} /></label>
    <${UserPicker} label="User" id="pick-traffic" start=${filter.user} onPick=${(id) => id !== undefined && change('user', id ? String(id) : '')} />
    <label class="field">Protocol<select value=${filter.on} onChange=${set('on')}><option value="">REST and chat</option><option value="rest">REST</option><option value="chat">Chat</option></select></label>
    <label class="field">Method<select value=${filter.method} onChange=${set('method')}><option value="">Any</option>${methods.map((m) => html`<option key=${m}>${m}</option>`)}</select></label>
    <label class="field">Status<select value=${filter.status} onChange=${set('status')}>${statuses.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}</select></label>
    <label class="check"><input type="checkbox" checked=${filter.fault === '1'} onChange=${(e) => change('fault', e.target.checked ? '1' : '')} />Only faults</label></form>`
}

const moodOf = (e) => (e.on === 'chat' ? '' : !e.status || e.status >= 500 ? 'bad' : e.status >= 400 ? 'warn' : 'good')
const direction = { in: 'from client', out: 'to client' }

function Row({ e, open, onToggle }) {
  const head = e.on === 'chat' ? `Chat ${direction[e.direction] ?? 'fault'}` : `${e.method} ${e.status || 'cut'}`
  return html`<li><button type="button" aria-expanded=${open} onClick=${onToggle}><${Icon} name="right" />
      <span class="time muted num">${timeOf(e.at)}</span><span class=${`state ${moodOf(e)}`}>${head}</span>
      <span class="what">${e.on === 'chat' ? e.stanza : e.path}</span>
      <span class="tail">${e.fault && html`<span class="badge warn">${e.fault}</span> `}<bdi>${e.user_name}</bdi>${e.on === 'rest' && ` ${e.took_ms ?? 0} ms`}</span></button>
    ${open && html`<${Opened} id=${e.id} />`}</li>`
}

/** An entry with its bodies, which the list does not have. */
function Opened({ id }) {
  const [state, setState] = useState({})
  useEffect(() => {
    const gone = new AbortController()
    ask('GET', `traffic/${id}`, undefined, gone.signal).then(setState, (error) => setState({ error: error.message }))
    return () => gone.abort()
  }, [id])
  const { entry: e, curl, error } = state
  if (error) return html`<div class="opened"><${Trouble} text=${error} /></div>`
  if (!e) return null
  const about = [new Date(e.at).toLocaleString(), e.user_id ? `user ${e.user_id}` : 'no user', e.took_ms !== undefined && `${e.took_ms} ms`, e.fault && `fault: ${e.fault}`].filter(Boolean).join(', ')
  if (e.on === 'chat') return html`<div class="opened"><p class="small muted">${about}</p><pre tabindex="0">${e.stanza}</pre></div>`
  return html`<div class="opened"><div class="row between"><p class="small muted">${about}</p><${CopyButton} text=${curl} label="Copy as curl" short="Copy as curl" /></div>
    ${curl.includes('•••') && html`<p class="small muted">The command has ••• in place of a secret. Sign in as a user in <a href="#/users">Users</a> to get a token.</p>`}
    <div class="pair"><div><h3>Request</h3><pre tabindex="0">${e.method} ${e.path}${e.headers && '\n' + e.headers}${e.request && '\n\n' + pretty(e.request)}</pre></div>
      <div><h3>Answer</h3><pre tabindex="0">${e.status || 'The connection was cut.'}${e.response && '\n\n' + pretty(e.response)}</pre></div></div></div>`
}
