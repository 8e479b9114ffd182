// The tab that makes the sandbox fail.

import { useState } from './vendor/hooks.js'
import { ask, usePoll } from './api.js'
import { useKept } from './kept.js'
import { html, number, Trouble, useAct, UserPicker } from './ui.js'

const presets = [
  ['REST answers 503', { kind: 'status', status: 503 }],
  ['REST is slow, 3 s', { kind: 'slow', delay_ms: 3000 }],
  ['A third of REST fails', { kind: 'status', status: 500, probability: 0.33, seed: 1 }],
  ['Next answer is lost', { kind: 'lost-answer', times: 1 }],
  ['Messages arrive twice', { on: 'chat', kind: 'duplicate', stanza: 'message' }],
]

export function Faults({ overview }) {
  const { data, error, reload } = usePoll('faults')
  const kinds = usePoll('fault-kinds', { paused: true }).data?.kinds
  const { act, busy, error: failed } = useAct()
  const run = (method, path, body) => act(async () => {
    await ask(method, path, body)
    await reload()
    return true
  })
  const arm = (fault) => run('POST', 'faults', { delay_ms: 0, times: 0, ...fault })
  return html`<div class="head"><h2>Faults</h2></div><${Trouble} text=${error?.message ?? failed} />
    <div class="grid">
      <section class="card"><div class="row between"><h2>Armed</h2><button type="button" class="danger" disabled=${!data?.faults.length && !data?.spent.length} onClick=${() => run('DELETE', 'faults')}>Clear all</button></div>
        ${data && !data.faults.length && !data.spent.length && html`<p class="muted">None: the sandbox behaves.</p>`}
        <ul class="stack" id="faults">${data?.faults.map((f) => html`<${Armed} key=${f.id} f=${f} busy=${busy} onRemove=${() => run('DELETE', `faults/${f.id}`)} />`)}
          ${data?.spent.map((f) => html`<${Armed} key=${f.id} f=${f} spent busy=${busy} onRemove=${() => run('DELETE', `faults/${f.id}`)} />`)}</ul></section>
      <section class="card"><h2>At once</h2><div class="stack"><div class="row">${presets.map(([title, fault]) => html`<button type="button" key=${title} onClick=${() => arm(fault)}>${title}</button>`)}</div>
        <${Sockets} run=${run} /></div></section>
      ${kinds && html`<${Arm} kinds=${kinds} arm=${arm} maxDelay=${overview.max_delay_ms} />`}
    </div>`
}

function Armed({ f, spent, busy, onRemove }) {
  const words = [f.method, f.path, f.stanza && `stanza ${f.stanza}`, f.user && `user ${f.user}`, f.status && `status ${f.status}`, f.delay_ms && `${number(f.delay_ms)} ms`,
    f.probability && `${Math.round(f.probability * 100)} %`, !spent && (f.times ? `${number(f.times)} left` : 'until removed')].filter(Boolean)
  return html`<li class="row between notice"><span class="row"><strong>${f.on === 'chat' ? 'Chat' : 'REST'}: ${f.kind}</strong> <span class="small muted">${words.join(', ')}</span>
      <span class=${`badge ${f.acted ? 'warn' : ''}`}>acted ${number(f.acted)} ${f.acted === 1 ? 'time' : 'times'}</span>${spent && html` <span class="badge">done</span>`}</span>
    <button type="button" aria-label=${`Remove the fault ${f.kind}, number ${f.id}`} disabled=${busy} onClick=${onRemove}>Remove</button></li>`
}

function Sockets({ run }) {
  const [user, setUser] = useState(0)
  const act = (event) => {
    event.preventDefault()
    run('POST', event.submitter.value, { user })
  }
  return html`<form class="stack" onSubmit=${act}><h3>Chat connections</h3>
    <${UserPicker} label="Of the user" id="pick-socket" onPick=${setUser} hint="Empty: of all users." />
    <div class="row"><button value="drop">Cut now</button> <button value="half-open">Make silent now</button></div></form>`
}

const empty = { status: '', delay_ms: '', method: '', path: '', stanza: '', times: '', percent: '', seed: '' }

function Arm({ kinds, arm, maxDelay }) {
  const [on, setOn] = useKept('fault-on', 'rest')
  const [name, setName] = useKept('fault-kind', 'status')
  const [user, setUser] = useState(0)
  const [f, setF] = useKept('fault', empty)
  const kind = kinds.find((k) => k.on === on && k.kind === name) ?? kinds.find((k) => k.on === on)
  const set = (field) => (e) => setF({ ...f, [field]: e.target.value })
  const submit = async (event) => {
    event.preventDefault()
    const fault = { on, kind: kind.kind, delay_ms: Number(f.delay_ms), times: Number(f.times), probability: f.percent === '' ? undefined : Number(f.percent) / 100, seed: f.seed === '' ? undefined : Number(f.seed) }
    if (on === 'rest') Object.assign(fault, { method: f.method || undefined, path: f.path || undefined, status: kind.status === 'unused' || f.status === '' ? undefined : Number(f.status) })
    else Object.assign(fault, { stanza: f.stanza || undefined, user: user || undefined })
    if (await arm(fault)) setF(empty)
  }
  const field = (label, name, more) => html`<label class="field">${label}<input value=${f[name]} onInput=${set(name)} autocomplete="off" ...${more} /></label>`
  return html`<section class="card span"><h2>Arm a fault</h2><form class="form" onSubmit=${submit}>
    <label class="field">On<select value=${on} onChange=${(e) => setOn(e.target.value)}><option value="rest">REST</option><option value="chat">Chat</option></select></label>
    <label class="field">Kind<select value=${kind.kind} onChange=${(e) => setName(e.target.value)}>${kinds.filter((k) => k.on === on).map((k) => html`<option key=${k.kind}>${k.kind}</option>`)}</select></label>
    <p class="meaning muted">${kind.meaning}</p>
    ${kind.status !== 'unused' && field('Status', 'status', { type: 'number', min: 200, max: 599, required: kind.status === 'required', placeholder: kind.status })}
    ${field(kind.delay === 'required' ? 'Delay, ms' : 'Delay before it, ms', 'delay_ms', { type: 'number', min: kind.delay === 'required' ? 1 : 0, max: maxDelay, required: kind.delay === 'required', placeholder: kind.delay === 'required' ? 'required' : '0' })}
    ${on === 'rest'
      ? html`<label class="field">Method<select value=${f.method} onChange=${set('method')}><option value="">Any</option>${['GET', 'POST', 'PUT', 'DELETE'].map((m) => html`<option key=${m}>${m}</option>`)}</select></label>
        ${field('Path', 'path', { placeholder: '/users/*', pattern: '/.*|\\*' })}`
      : html`<label class="field">Stanza<select value=${f.stanza} onChange=${set('stanza')}><option value="">Any</option>${['message', 'presence', 'iq'].map((m) => html`<option key=${m}>${m}</option>`)}</select></label>
        <${UserPicker} label="Sent by" id="pick-fault" onPick=${setUser} />`}
    ${field('How often', 'times', { type: 'number', min: 0, placeholder: 'until removed' })}
    ${field('Probability, %', 'percent', { type: 'number', min: 1, max: 100, step: 'any', placeholder: '100' })}
    ${f.percent !== '' && field('Seed of the dice', 'seed', { type: 'number', min: 0, placeholder: '0' })}
    <div class="row"><button class="primary">Arm</button></div></form></section>`
}
