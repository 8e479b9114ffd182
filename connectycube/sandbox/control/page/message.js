// One message of a conversation.

import { dateOf, html, Icon, number } from './ui.js'

const meanings = { sent: 'Sent', delivered: 'Delivered', read: 'Read' }

/** One tick: sent; two: delivered; two in color: read. */
function Ticks({ m, others }) {
  const counted = m.status === 'read' ? m.read_by : m.delivered_to
  const of = others > 1 && m.status !== 'sent' ? ` by ${number(counted)} of ${number(others)}` : ''
  const text = meanings[m.status] + (m.status === 'delivered' && of ? ` to ${number(counted)} of ${number(others)}` : of)
  return html`<span class=${`row ${m.status}`} title=${text}><${Icon} name=${m.status === 'sent' ? 'done' : 'twice'} /><span class="vh">${text}</span>${of && html`<span aria-hidden="true">${number(counted)}</span>`}</span>`
}

/** The address of an attachment, if a browser can open it without running it. */
function linkOf(text) {
  try {
    const url = new URL(text)
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : ''
  } catch {
    return ''
  }
}

function Attachment({ a }) {
  const url = linkOf(a.url ?? '')
  const about = [a.type, a['content-type'], a.size && `${a.size} bytes`].filter(Boolean).join(', ')
  return html`<div class="attachment"><${Icon} name="clip" /><span>${a.name || a.id || 'Attachment'}${about && html` <span class="muted">${about}</span>`}</span>
    ${url && html`<a href=${url} target="_blank" rel="noreferrer noopener">Open</a>`}</div>`
}

export const Message = ({ m, own, others }) => html`<li class=${own ? 'bubble own' : 'bubble'}>
  <p class="from"><bdi>${m.sender}</bdi></p>
  ${m.message && html`<p class="body">${m.message}${m.cut && ' …'}</p>`}
  ${m.attachments.map((a, i) => html`<${Attachment} key=${i} a=${a} />`)}
  <p class="meta">${Object.entries(m.reactions).map(([kind, n]) => html`<span class="badge" key=${kind}><bdi>${kind}</bdi> ${n}</span>`)}
    ${m.edited && html`<span>edited</span>`}<span class="num">${dateOf(m.sent_at)}</span><${Ticks} m=${m} others=${others} /></p></li>`
