// The tab with the dialogs of all users: read along, and write as anybody.

import { useEffect, useLayoutEffect, useRef, useState } from './vendor/hooks.js'
import { seed, usePoll, withQuery } from './api.js'
import { keep, useKept } from './kept.js'
import { dateOf, html, Icon, Modal, mostSearched, number, Pager, Trouble, useAct, useSettled, UserPicker } from './ui.js'
import { Message } from './message.js'
import { Composer } from './composer.js'

const size = 50
const kinds = { 1: 'broadcast', 2: 'group', 3: 'private', 4: 'public' }

export function Chats({ argument }) {
  const [text, setText] = useKept('dialogs', '')
  const [skip, setSkip] = useState(0)
  const [adding, setAdding] = useState(false)
  const search = useSettled(text)
  const { data, error, reload } = usePoll(withQuery('dialogs', { search, skip, limit: size }))
  useEffect(() => keep('conversation', argument), [argument])
  const go = (id) => {
    location.hash = id ? `#/chats/${id}` : '#/chats'
  }
  return html`<div class="head"><h2>Chats ${data && html`<span class="muted num">${number(data.total)}</span>`}</h2>
      <button type="button" class="primary" onClick=${() => setAdding(true)}><${Icon} name="plus" />New chat</button></div>
    <${Trouble} text=${error?.message} />
    <div class=${argument ? 'panes open' : 'panes'}>
      <section class="card list" aria-label="Dialogs">
        <div class="pane-head"><input type="search" aria-label="Search dialogs" maxlength=${mostSearched} placeholder="Name of a dialog or occupant" value=${text} onInput=${(e) => {
          setText(e.target.value)
          setSkip(0)
        }} /></div>
        ${data && !data.dialogs.length && html`<p class="empty">${data.total ? 'No dialog matches.' : 'No dialogs yet. New chat starts one between two users.'}</p>`}
        <ul class="dialogs scroll" tabindex="-1">${data?.dialogs.map((d) => html`<li key=${d.id}><${DialogRow} d=${d} current=${d.id === argument} onOpen=${() => go(d.id)} /></li>`)}</ul>
        ${data && (data.matched > size || skip > 0) && html`<${Pager} skip=${skip} size=${size} matched=${data.matched} onSkip=${setSkip} />`}
      </section>
      <section class="card list" aria-label="Conversation">${argument
        ? html`<${Talk} key=${argument} id=${argument} onBack=${() => go('')} onSent=${reload} />`
        : html`<p class="empty">Choose a dialog to read along and to write as one of its users.</p>`}</section>
    </div>
    ${adding && html`<${NewChat} onClose=${() => setAdding(false)} onDone=${(id) => {
      setAdding(false)
      go(id)
    }} />`}`
}

const DialogRow = ({ d, current, onOpen }) => html`<button type="button" aria-current=${current ? 'true' : undefined} onClick=${onOpen}>
  <span class="title">${d.title || d.id}</span><span class="small muted num">${dateOf(d.updated_at)}</span>
  <span class="last">${d.typing ? 'typing…' : html`<bdi>${d.last_sender && d.last_sender + ': '}${d.last_message || (d.messages_count ? '(no text)' : 'No messages yet')}</bdi>`}</span></button>`

function Talk({ id, onBack, onSent }) {
  const [before, setBefore] = useState('')
  const [as, setAs] = useState(0)
  const { data: talk, error, reload, isCurrent } = usePoll(withQuery(`dialogs/${encodeURIComponent(id)}/messages`, { before, limit: size }))
  const scroll = useRef()
  const atEnd = useRef(true)
  useLayoutEffect(() => {
    if (scroll.current && isCurrent && (atEnd.current || before)) scroll.current.scrollTop = before ? 0 : scroll.current.scrollHeight
  }, [talk, isCurrent])
  useEffect(() => {
    atEnd.current = !before
  }, [before])
  if (!talk) return html`<div class="pane-head"><button type="button" class="back" onClick=${onBack}><${Icon} name="left" />Dialogs</button><${Trouble} text=${error?.message} /></div>`
  const d = talk.dialog
  const typing = talk.typing.filter((u) => u.id !== as)
  const scrolled = ({ target }) => {
    atEnd.current = target.scrollHeight - target.scrollTop - target.clientHeight < 40
  }
  return html`<div class="pane-head"><div class="row"><button type="button" class="back" onClick=${onBack}><${Icon} name="left" />Dialogs</button>
      <span class="badge">${kinds[d.type]}</span><span class="small muted num">${number(d.occupants_count)} users, ${number(d.messages_count)} messages</span></div>
      <h3 class="name"><bdi>${d.title || d.id}</bdi></h3><${Trouble} text=${error?.message} /></div>
    <div class="scroll" ref=${scroll} onScroll=${scrolled} tabindex="0" role="log" aria-label="Messages"><ol class="talk">
      ${talk.earlier && html`<li class="more"><button type="button" onClick=${() => setBefore(talk.messages[0].id)}>Earlier messages</button></li>`}
      ${!talk.messages.length && html`<li class="muted">No messages yet.</li>`}
      ${talk.messages.map((m) => html`<${Message} key=${m.id} m=${m} own=${m.sender_id === as} others=${d.occupants_count - 1} />`)}
      ${talk.later && html`<li class="more"><button type="button" onClick=${() => setBefore('')}>Back to the latest</button></li>`}
    </ol></div>
    <p class="typing" role="status">${typing.length > 0 && html`<bdi>${typing.slice(0, 3).map((u) => u.name).join(', ')}</bdi> ${typing.length === 1 ? 'is' : 'are'} typing…`}</p>
    <${Composer} talk=${talk} onAs=${setAs} onSent=${() => {
      setBefore('')
      atEnd.current = true
      reload()
      onSent()
    }} />`
}

function NewChat({ onClose, onDone }) {
  const [owner, setOwner] = useState(0)
  const [others, setOthers] = useState([0])
  const [name, setName] = useState('')
  const { act, busy, error } = useAct()
  const create = (event) => {
    event.preventDefault()
    const occupants = others.filter(Boolean).map(String)
    act(async () => {
      if (!owner || !occupants.length) throw new Error('Choose the user who starts the chat, and at least one other user.')
      const type = occupants.length === 1 && !name ? 3 : 2
      const { dialogs } = await seed({ dialogs: [{ key: 'new', type, name: type === 2 ? name : undefined, owner: String(owner), occupants }] })
      onDone(dialogs.new)
    })
  }
  return html`<${Modal} title="New chat" onClose=${onClose}><form class="stack" onSubmit=${create}>
    <${UserPicker} label="Started by" id="pick-owner" onPick=${setOwner} />
    ${others.map((_, i) => html`<${UserPicker} key=${i} label=${i ? `And with ${i + 1}` : 'With'} id=${`pick-${i}`} onPick=${(id) => setOthers((all) => all.map((old, j) => (j === i ? id : old)))} />`)}
    ${others.length < 10 && html`<div class="row"><button type="button" onClick=${() => setOthers([...others, 0])}><${Icon} name="plus" />Another user</button></div>`}
    <label class="field">Name of the group <input value=${name} autocomplete="off" onInput=${(e) => setName(e.target.value)} /><span class="hint">Empty: a private dialog of two users.</span></label>
    <${Trouble} text=${error} />
    <div class="row"><button class="primary" disabled=${busy}>Create</button></div></form></${Modal}>`
}
