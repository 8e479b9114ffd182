// The tab that moves the time of the sandbox.

import { useEffect, useState } from './vendor/hooks.js'
import { ask } from './api.js'
import { html, spoken, Trouble, useAct } from './ui.js'

const steps = [['10m', '+10 minutes'], ['2h', '+2 hours'], ['24h', '+1 day'], ['720h', '+30 days']]
const units = { minutes: 'm', hours: 'h', days: 'd' }
const most = { minutes: 5_256_000, hours: 87_600, days: 3_650 } // the sandbox's clock is at most ten years ahead

/** A duration in the notation of the sandbox, which has no days. */
const durationOf = (n, unit) => (units[unit] === 'd' ? `${n * 24}h` : `${n}${units[unit]}`)

function useTicking(now) {
  const [offset, setOffset] = useState(() => new Date(now) - Date.now())
  const [, tick] = useState(0)
  useEffect(() => setOffset(new Date(now) - Date.now()), [now])
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1_000)
    return () => clearInterval(timer)
  }, [])
  return new Date(Date.now() + offset)
}

export function Clock({ overview, reload }) {
  const [amount, setAmount] = useState('1')
  const [unit, setUnit] = useState('hours')
  const { act, busy, error } = useAct()
  const run = (method, body) => act(async () => {
    await ask(method, 'clock', body)
    await reload()
  })
  const { ahead } = overview.clock
  const isReal = ahead === '0s'
  return html`<div class="head"><h2>Clock</h2></div><div class="grid">
    <section class="card stack"><h2>Time in the sandbox</h2>
      <p class="clock" id="now">${useTicking(overview.clock.now).toLocaleString()}</p>
      <p class="row"><span class=${`badge ${isReal ? 'good' : 'warn'}`} id="ahead">${isReal ? 'Real time' : `${spoken(ahead)} ahead`}</span></p>
      <div class="row"><button type="button" class="primary" disabled=${busy || isReal} onClick=${() => run('DELETE')}>Back to real time</button></div>
      <p class="small muted">What happened in the time ahead then counts as if it had happened now.</p></section>
    <section class="card stack"><h2>Advance</h2>
      <div class="row">${steps.map(([advance, title]) => html`<button type="button" key=${advance} onClick=${() => run('POST', { advance })}>${title}</button>`)}</div>
      <form class="form" onSubmit=${(e) => {
        e.preventDefault()
        run('POST', { advance: durationOf(amount, unit) })
      }}><label class="field">By<input type="number" min="1" max=${most[unit]} required value=${amount} onInput=${(e) => setAmount(e.target.value)} /></label>
        <label class="field">Unit<select value=${unit} onChange=${(e) => setUnit(e.target.value)}>${Object.keys(units).map((u) => html`<option key=${u}>${u}</option>`)}</select></label>
        <div class="row"><button class="primary">Advance</button></div></form>
      <${Trouble} text=${error} /></section>
    <section class="card span stack"><h2>What moves</h2>
      <p>Sessions, guests and links of the sandbox expire by this clock, and each new date has its time. Waits, pings and resumption of the chat use real time.</p>
      ${overview.server
        ? html`<p class="notice warn" id="server-clock">The cubegate server beside it keeps real time: this clock does <strong>not</strong> move its access tokens, refresh tokens, tickets and login sessions. Only the ConnectyCube sessions that it hands out expire early.</p>`
        : html`<p class="notice" id="server-clock">A server that uses this sandbox keeps its own time: this clock does not move its tokens.</p>`}</section></div>`
}
