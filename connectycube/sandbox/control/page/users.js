// The tab with the users: search, add, disable, delete, sign in as.

import { useState } from './vendor/hooks.js'
import { ask, seed, usePoll, withQuery } from './api.js'
import { keep, useKept } from './kept.js'
import { Confirm, CopyButton, dateOf, html, Icon, Modal, mostSearched, nameOf, number, Pager, Trouble, useAct, useSettled } from './ui.js'

const size = 50

export function Users({ overview, argument }) {
  const [text, setText] = useKept('users', '', argument)
  const [skip, setSkip] = useState(0)
  const [open, setOpen] = useState(null) // {view, user}
  const search = useSettled(text)
  const { data, error, reload } = usePoll(withQuery('users', { search, skip, limit: size }))
  const show = (view, user) => setOpen({ view, user })
  const done = () => {
    setOpen(null)
    reload()
  }
  return html`<div class="head"><h2>Users ${data && html`<span class="muted num">${number(data.total)}</span>`}</h2>
      <div class="row"><input class="search" type="search" aria-label="Search users" maxlength=${mostSearched} placeholder="Name, login, email or ID" value=${text} onInput=${(e) => {
        setText(e.target.value)
        setSkip(0)
        if (argument) location.replace('#/users') // which would win after a reload
      }} />
      <button type="button" class="primary" onClick=${() => show('add')}><${Icon} name="plus" />Add user</button></div></div>
    <${Trouble} text=${error?.message} />
    <section class="card list">${data && !data.users.length
      ? html`<p class="empty">${data.total ? 'No user matches.' : 'No users yet. Add one here, or let an app sign up or log in.'}</p>`
      : html`<${Rows} users=${data?.users ?? []} show=${show} />`}
      ${data && html`<${Pager} skip=${skip} size=${size} matched=${data.matched} onSkip=${setSkip} />`}</section>
    ${open?.view === 'add' && html`<${AddUser} onClose=${() => setOpen(null)} onDone=${done} />`}
    ${open?.view === 'detail' && html`<${Detail} id=${open.user.id} show=${show} onClose=${done} />`}
    ${open?.view === 'signed' && html`<${SignIn} user=${open.user} overview=${overview} onClose=${done} />`}
    ${open?.view === 'delete' && html`<${Remove} user=${open.user} onClose=${() => setOpen(null)} onDone=${done} />`}`
}

const Rows = ({ users, show }) => html`<table class="cards users"><thead><tr><th>Name</th><th>Login</th><th>Email</th><th>ID</th><th>Created</th><th><span class="vh">Acts</span></th></tr></thead>
  <tbody>${users.map((u) => html`<tr key=${u.id}>
    <td><span><button type="button" class="link" onClick=${() => show('detail', u)}><bdi>${nameOf(u)}</bdi></button>
      ${u.disabled && html` <span class="badge bad">disabled</span>`}${u.sockets > 0 && html` <span class="badge good">online</span>`}</span></td>
    <td data-label=${u.login && 'Login'}>${u.login && html`<bdi>${u.login}</bdi>`}</td>
    <td data-label=${u.email && 'Email'}>${u.email && html`<bdi>${u.email}</bdi>`}</td>
    <td class="num" data-label="ID">${u.id}</td>
    <td class="num" data-label="Created">${dateOf(u.created_at)}</td>
    <td class="acts"><button type="button" disabled=${u.disabled} aria-label=${`Sign in as ${nameOf(u)}`} onClick=${() => show('signed', u)}>Sign in as</button> <button type="button" class="danger" aria-label=${`Delete ${nameOf(u)}`} onClick=${() => show('delete', u)}>Delete</button></td>
  </tr>`)}</tbody></table>`

const fields = [
  ['full_name', 'Full name', 'text'],
  ['login', 'Login', 'text'],
  ['email', 'Email', 'email'],
  ['password', 'Password', 'text'],
  ['external_id', 'External ID', 'text'],
]

function AddUser({ onClose, onDone }) {
  const [user, setUser] = useState({})
  const { act, busy, error } = useAct()
  const add = (event) => {
    event.preventDefault()
    act(async () => {
      await seed({ users: [user] })
      onDone()
    })
  }
  return html`<${Modal} title="Add user" onClose=${onClose}><form class="stack" onSubmit=${add}>
    <p class="small muted">A user needs a login or an email, and a password of 6 to 40 characters. With an external ID the identity provider knows the password.</p>
    <div class="form">${fields.map(([name, label, type]) => html`<label class="field" key=${name}>${label}<input type=${type} name=${name} autocomplete="off" value=${user[name] ?? ''} onInput=${(e) => setUser({ ...user, [name]: e.target.value })} /></label>`)}</div>
    <${Trouble} text=${error} />
    <div class="row"><button class="primary" disabled=${busy}>Add</button></div></form></${Modal}>`
}

function Detail({ id, show, onClose }) {
  const { data: u, error, reload } = usePoll(`users/${id}`)
  const { act, busy, error: failed } = useAct()
  if (!u) return html`<${Modal} title="User" onClose=${onClose}><${Trouble} text=${error?.message} /></${Modal}>`
  const run = (method, path, body) => act(async () => {
    await ask(method, path, body)
    await reload()
  })
  const facts = [['ID', u.id], ['Login', u.login], ['Email', u.email], ['External ID', u.external_id], ['Created', dateOf(u.created_at)], ['Last request', u.last_request_at && dateOf(u.last_request_at)], ['Dialogs', u.dialogs], ['Sessions', u.sessions]]
  return html`<${Modal} title=${nameOf(u)} onClose=${onClose}>
    <${Trouble} text=${error?.message ?? failed} />
    ${u.disabled && html`<p class="notice warn">This user is disabled: logins are refused.</p>`}
    <dl class="facts">${facts.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => html`<dt key=${name}>${name}</dt><dd key=${name + '-'}><bdi class="num">${value}</bdi></dd>`)}</dl>
    ${u.open_sockets.length > 0 && html`<div><h3>Chat connections</h3><ul class="stack">${u.open_sockets.map((c) => html`<li key=${c.resource} class="row between"><span class="small"><bdi>${c.resource}</bdi> <span class="badge ${c.available ? 'good' : ''}">${c.waiting ? 'lost, may resume' : c.available ? 'online' : 'silent'}</span>${c.queued > 0 && ` ${c.queued} queued`}</span></li>`)}</ul>
      <div class="row"><button type="button" disabled=${busy} onClick=${() => run('POST', 'drop', { user: u.id })}>Cut connections</button></div></div>`}
    ${u.devices.length > 0 && html`<div><h3>Devices with pushes</h3><ul>${u.devices.map((d) => html`<li key=${d.id} class="small"><bdi>${d.platform} ${d.udid}</bdi></li>`)}</ul></div>`}
    <div class="row"><button type="button" class="primary" disabled=${u.disabled} onClick=${() => show('signed', u)}>Sign in as</button>
      <a class="button" href=${`#/traffic/${u.id}`}>Traffic</a>
      <button type="button" disabled=${busy} onClick=${() => run('PUT', `users/${u.id}/disabled`, { disabled: !u.disabled })}>${u.disabled ? 'Enable' : 'Disable'}</button>
      <button type="button" class="danger" onClick=${() => show('delete', u)}>Delete</button></div></${Modal}>`
}

/** Opens a session without a password, and shows how an app or a terminal uses it. */
function SignIn({ user, overview, onClose }) {
  const [signedIn, setSignedIn] = useState(null)
  const { act, busy, error } = useAct()
  const open = () => act(async () => setSignedIn(await ask('POST', `users/${user.id}/session`, {})))
  if (!signedIn) {
    return html`<${Modal} title=${`Sign in as ${nameOf(user)}`} onClose=${onClose}>
      <p>This opens a session of <bdi><strong>${nameOf(user)}</strong></bdi> without a password. Its token is valid until two hours after its last use.</p>
      <${Trouble} text=${error} />
      <div class="row"><button type="button" class="primary" disabled=${busy} onClick=${open}>Open session</button></div></${Modal}>`
  }
  const here = overview.places[0]
  const init = here.snippet.replace(/authKey: '[^']*'/, `token: '${signedIn.token}'`)
  const code = `${init}\nawait ConnectyCube.chat.connect({ userId: ${signedIn.user_id}, password: '${signedIn.token}' })`
  const curl = `curl '${here.url}/session' -H 'CB-Token: ${signedIn.token}'`
  return html`<${Modal} title=${`Signed in as ${nameOf(user)}`} onClose=${onClose}>
    <p>The session ends at ${dateOf(signedIn.expires_at)} unless it is used.</p>
    <div class="stack"><h3>Token</h3><div class="code"><pre id="token">${signedIn.token}</pre><${CopyButton} text=${signedIn.token} label="Copy the token" /></div>
    <h3>In an app</h3><div class="code"><pre>${code}</pre><${CopyButton} text=${code} label="Copy the code" /></div>
    <h3>In a terminal</h3><div class="code"><pre>${curl}</pre><${CopyButton} text=${curl} label="Copy the curl command" /></div></div>
    <div class="row"><a class="button primary" href="#/chats" onClick=${() => keep('writer', user.id)}>Write as this user</a></div></${Modal}>`
}

function Remove({ user, onClose, onDone }) {
  const { act, error } = useAct()
  const remove = () => act(async () => {
    await ask('DELETE', `users/${user.id}`)
    onDone()
  })
  return html`<${Confirm} title=${`Delete ${nameOf(user)}?`} verb="Delete" onYes=${remove} onClose=${onClose}
    text=${error || 'The user’s sessions and connections end. Dialogs keep the messages.'} />`
}
