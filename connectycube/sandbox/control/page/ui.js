// Parts that all tabs use. Text from users goes into text nodes and attributes only.

import { createElement } from './vendor/preact.js'
import { useEffect, useLayoutEffect, useRef, useState } from './vendor/hooks.js'
import htm from './vendor/htm.js'
import { ask } from './api.js'

export const html = htm.bind(createElement)

const shapes = {
  cube: 'M12 2.5l8.5 4.8v9.4L12 21.5l-8.5-4.8V7.3zM3.5 7.3L12 12l8.5-4.7M12 12v9.5',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  done: 'M4 12.5l5 5L20 6.5',
  twice: 'M1.5 12.5l5 5L16 7M10.5 16l1.5 1.5L22.5 7',
  right: 'M9 5l7 7-7 7',
  left: 'M15 5l-7 7 7 7',
  plus: 'M12 5v14M5 12h14',
  close: 'M6 6l12 12M18 6L6 18',
  clip: 'M20 11.5l-8.3 8.3a5 5 0 01-7-7l8.2-8.3a3.3 3.3 0 014.7 4.7l-8.2 8.2a1.6 1.6 0 01-2.3-2.3l7.5-7.5',
  send: 'M21 3L10.5 13.5M21 3l-6.5 18-4-7.5L3 9.5z',
}

export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${shapes[name]} /></svg>`

/** Copies a text, which may be a function that returns or promises it. */
export function CopyButton({ text, label, short = 'Copy' }) {
  const [state, setState] = useState('')
  useEffect(() => {
    if (!state) return undefined
    const timer = setTimeout(() => setState(''), 2_000)
    return () => clearTimeout(timer)
  }, [state])
  const copy = async () => {
    try {
      await writeClipboard(typeof text === 'function' ? await text() : text)
      setState('Copied')
    } catch {
      setState('Not copied')
    }
  }
  return html`<button type="button" onClick=${copy} aria-label=${label}>
    <${Icon} name=${state === 'Copied' ? 'done' : 'copy'} />${state || short}<span class="vh" role="status">${state}</span></button>`
}

/** navigator.clipboard exists only on https and localhost, not at an address of the LAN. */
async function writeClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  const area = document.createElement('textarea')
  area.value = text
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  if (!done) throw new Error('not copied')
  return undefined
}

/** A modal window. It opens at once; onClose follows Escape, the cross and close(). */
export function Modal({ title, onClose, children }) {
  const box = useRef()
  useLayoutEffect(() => { // with the first rendering, so that no key gets past it
    box.current.showModal()
  }, [])
  return html`<dialog ref=${box} aria-label=${title} onClose=${onClose}>
    <div class="stack">
      <div class="row between"><h2>${title}</h2>
        <button type="button" class="icon-only plain" aria-label="Close" onClick=${() => box.current.close()}><${Icon} name="close" /></button></div>
      ${children}
    </div>
  </dialog>`
}

/** Asks before something that cannot be undone. */
export const Confirm = ({ title, text, verb, onYes, onClose }) => html`<${Modal} title=${title} onClose=${onClose}>
  <p>${text}</p>
  <div class="row"><button type="button" onClick=${onClose}>Keep</button><button type="button" class="danger" onClick=${onYes}>${verb}</button></div>
</${Modal}>`

/** Runs acts one at a time: another one is dropped, such as that of a double click. Returns the error of the last one. */
export function useAct() {
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const running = useRef(false) // busy is known one rendering later
  const act = async (what) => {
    if (running.current) return undefined
    running.current = true
    setBusy(true)
    setError('')
    try {
      return await what()
    } catch (e) {
      setError(e.message)
      return undefined
    } finally {
      running.current = false
      setBusy(false)
    }
  }
  return { act, busy, error, clear: () => setError('') }
}

export const Trouble = ({ text }) => (text ? html`<p class="notice bad" role="alert">${text}</p>` : null)

/** The text of an input, some time after the last key. */
export function useSettled(text, ms = 250) {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), ms)
    return () => clearTimeout(timer)
  }, [text])
  return settled
}

/** Pages of a list that the sandbox counts. */
export function Pager({ skip, size, matched, onSkip }) {
  const last = Math.min(skip + size, matched)
  return html`<div class="pager"><span class="small muted num" role="status">${matched ? `${number(skip + 1)} to ${number(last)} of ${number(matched)}` : 'None'}</span>
    <span class="row"><button type="button" disabled=${skip === 0} onClick=${() => onSkip(Math.max(0, skip - size))}>Previous</button>
      <button type="button" disabled=${last >= matched} onClick=${() => onSkip(skip + size)}>Next</button></span></div>`
}

/**
 * An input that finds a user by name, email or ID. onPick gets the ID; 0 while it is empty; undefined while it does not
 * name exactly one user. A form with such an input is not submitted.
 */
export function UserPicker({ label, id, start = '', onPick, hint }) {
  const [text, setText] = useState(start)
  const [found, setFound] = useState({ users: [] })
  const input = useRef()
  const search = useSettled(text)
  useEffect(() => {
    const gone = new AbortController()
    ask('GET', `users?limit=20&search=${encodeURIComponent(idIn(search) || search.slice(0, mostSearched))}`, undefined, gone.signal)
      .then(({ users }) => setFound({ search, users }))
      .catch(() => {}) // the connection's state shows it
    return () => gone.abort()
  }, [search])
  const picked = pickedOf(text, found)
  const said = saidOf(text, found, picked) || hint
  useLayoutEffect(() => {
    input.current.setCustomValidity(picked === undefined ? 'Choose one user from the list.' : '')
    onPick(picked)
  }, [picked])
  return html`<div class="picker"><label class="field">${label}
    <input ref=${input} list=${id} aria-describedby=${`${id}-said`} value=${text} onInput=${(e) => setText(e.target.value)} autocomplete="off" placeholder="Name, email or ID" /></label>
    <p class="hint" id=${`${id}-said`}><bdi>${said}</bdi></p>
    <datalist id=${id}>${found.users.map((u) => html`<option key=${u.id} value=${optionOf(u)} />`)}</datalist></div>`
}

/** The sandbox searches for at most 200 bytes. */
export const mostSearched = 60 // characters

const optionOf = (user) => `${nameOf(user)} (${user.id})`

/** The ID in a text, which is that of an option or an ID alone; 0 if there is none. */
const idIn = (text) => Number((/\((\d+)\)$/.exec(text.trim()) ?? /^(\d+)$/.exec(text.trim()))?.[1] ?? 0)

function pickedOf(text, { search, users }) {
  if (!text.trim()) return 0
  if (idIn(text)) return idIn(text)
  if (text !== search) return undefined // not searched yet
  const wanted = text.trim().toLowerCase()
  const same = users.filter((u) => [u.full_name, u.login, u.email].some((name) => name?.toLowerCase() === wanted))
  const left = same.length ? same : users
  return left.length === 1 ? left[0].id : undefined
}

/** What the picker says about a name. */
function saidOf(text, { search, users }, picked) {
  if (!text.trim() || idIn(text) || text !== search) return ''
  if (picked) return optionOf(users.find((u) => u.id === picked))
  return users.length ? 'Several users: choose one from the list.' : 'No user has this name.'
}

export const nameOf = (user) => user.full_name ?? user.login ?? user.email ?? user.external_id ?? String(user.id)
export const number = (n) => n.toLocaleString('en')

const two = (n) => String(n).padStart(2, '0')
const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`

/** The local time of day. */
export function timeOf(text) {
  const at = new Date(text)
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

/** The local time, with the day unless it is today. */
export function dateOf(text) {
  const at = new Date(text)
  return (day(at) === day(new Date()) ? '' : day(at) + ' ') + timeOf(text)
}

const lengths = { day: 86_400, hour: 3_600, minute: 60, second: 1 } // seconds

/** The two largest units of a duration: "74h0m0s" is "3 days 2 hours". */
export function spoken(duration) {
  const [, hours, minutes, seconds] = /^(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?$/.exec(duration) ?? []
  let left = Number(hours ?? 0) * lengths.hour + Number(minutes ?? 0) * lengths.minute + Math.floor(seconds ?? 0)
  const parts = []
  for (const [unit, length] of Object.entries(lengths)) {
    const n = Math.floor(left / length)
    left -= n * length
    if (n) parts.push(`${number(n)} ${unit}${n === 1 ? '' : 's'}`)
  }
  return parts.slice(0, 2).join(' ') || duration
}

/** JSON with indents; another text as it is. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
