// The tab with the pushes and mails that were not sent.

import { useState } from './vendor/hooks.js'
import { ask, usePoll } from './api.js'
import { dateOf, html, number, Pager, pretty, Trouble, useAct } from './ui.js'

const size = 50

export function Outbox() {
  const [skip, setSkip] = useState(0)
  const { data, error, reload } = usePoll(`outbox?skip=${skip}&limit=${size}`)
  const { act, error: failed } = useAct()
  const empty = () => act(async () => {
    await ask('DELETE', 'outbox')
    setSkip(0)
    await reload()
  })
  return html`<div class="head"><h2>Outbox ${data && html`<span class="muted num">${number(data.total)}</span>`}</h2>
      <button type="button" class="danger" disabled=${!data?.total} onClick=${empty}>Empty</button></div>
    <${Trouble} text=${error?.message ?? failed} />
    <section class="card list">${data && !data.total
      ? html`<p class="empty">Empty. Pushes to users who are not in the chat, and mails, land here instead of leaving.</p>`
      : html`<ol class="items">${data?.outbox.toReversed().map((item) => html`<${Item} key=${item.id} item=${item} />`)}</ol>`}
      ${data && data.total > size && html`<${Pager} skip=${skip} size=${size} matched=${data.total} onSkip=${setSkip} />`}</section>`
}

function Item({ item }) {
  const shown = (item.users ?? []).slice(0, 10)
  const more = (item.recipients ?? 0) - shown.length
  return html`<li><div class="row between"><span class="row"><span class="badge">${item.kind}</span>
      ${item.kind === 'mail'
        ? html`<bdi>${item.email}</bdi>`
        : html`<span>to ${shown.length === 1 ? 'user' : 'users'} ${shown.map((id, i) => html`${i > 0 && ', '}<a href=${`#/users/${id}`}>${id}</a>`)}${more > 0 && ` and ${number(more)} more`}; ${number(item.devices)} ${item.devices === 1 ? 'device' : 'devices'}</span>`}
      ${item.environment && html`<span class="badge">${item.environment}</span>`}${item.channel && html`<span class="badge"><bdi>${item.channel}</bdi></span>`}</span>
    <span class="small muted num">${dateOf(item.at)}</span></div>
    ${item.subject && html`<h3><bdi>${item.subject}</bdi></h3>`}
    <pre tabindex="0"><bdi>${pretty(item.text)}</bdi></pre></li>`
}
