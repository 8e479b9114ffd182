// Writes messages in the name of a user of a dialog.

import { useEffect, useRef, useState } from './vendor/hooks.js'
import { ask } from './api.js'
import { useKept } from './kept.js'
import { html, Icon, Trouble, useAct } from './ui.js'
import { upload } from './upload.js'

const typingAgain = 5_000 // ms between two signs of typing
const maxFiles = 10 // of one message

export function Composer({ talk, onAs, onSent }) {
  const [text, setText] = useKept(`draft-${talk.dialog.id}`, '')
  const [files, setFiles] = useState([])
  const [chosen, setChosen] = useKept('writer', 0) // also the user who was signed in last
  const { act, busy, error } = useAct()
  const said = useRef(0) // when typing was said last
  const box = useRef()
  const path = `dialogs/${encodeURIComponent(talk.dialog.id)}`
  const as = talk.occupants.some((u) => u.id === chosen) ? chosen : talk.occupants[0]?.id ?? 0
  const isEmpty = !text.trim() && !files.length
  useEffect(() => onAs(as), [as])
  const type = (typing) => {
    if (typing ? Date.now() - said.current < typingAgain : !said.current) return
    said.current = typing ? Date.now() : 0
    ask('PUT', `${path}/typing`, { user: as, typing }).catch(() => {}) // sending shows the refusal
  }
  useEffect(() => () => type(false), [as])
  const send = (event) => {
    event?.preventDefault()
    if (isEmpty || busy) return
    act(async () => {
      await ask('POST', `${path}/messages`, { from: as, message: text, attachments: await upload(as, files) })
      said.current = 0
      setText('')
      setFiles([])
      box.current?.focus() // the button, now without a use, has lost it
      onSent()
    })
  }
  return html`<form class="composer" onSubmit=${send}>
    <label class="field">Write as<select value=${as} onChange=${(e) => setChosen(Number(e.target.value))}>${talk.occupants.map((u) => html`<option key=${u.id} value=${u.id}>${u.name}</option>`)}</select></label>
    <label class="field">Message<textarea ref=${box} rows="1" value=${text} onInput=${(e) => {
      setText(e.target.value)
      type(e.target.value !== '')
    }} onBlur=${() => type(false)} onKeyDown=${(e) => e.key === 'Enter' && !e.shiftKey && !e.isComposing && send(e)}></textarea></label>
    <label class="button attach" title="Attach files"><${Icon} name="clip" /><span class="vh">Attach files</span><input class="vh" type="file" multiple disabled=${busy} onChange=${(e) => {
      setFiles([...files, ...e.target.files].slice(0, maxFiles))
      e.target.value = '' // so that the same file can be chosen again
    }} /></label>
    <button class="primary" disabled=${busy || isEmpty}><${Icon} name="send" />Send</button>
    ${files.length > 0 && html`<ul class="span files">${files.map((f, i) => html`<li key=${i} class="attachment"><${Icon} name="clip" /><span title=${f.name}>${f.name}</span>
      <button type="button" class="icon-only plain" aria-label=${`Remove ${f.name}`} disabled=${busy} onClick=${() => setFiles(files.filter((_, j) => j !== i))}><${Icon} name="close" /></button></li>`)}</ul>`}
    ${error && html`<div class="span"><${Trouble} text=${error} /></div>`}</form>`
}
