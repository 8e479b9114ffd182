// What the recipe of docs/login-sessions.md does when it cannot simply go on:
// ConnectyCube is away, or the login is over. expiries.test.mjs has the rest.

import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import SDK from 'connectycube'
import { config, control, newUser, register, sandbox, url } from './cubegate.mjs'
import { Chat, Login } from './recipe.mjs'

const { ConnectyCube } = SDK.default ?? SDK
const chats = []
after(async () => {
  await control('DELETE', 'faults')
  for (const chat of chats) await chat.close()
})

async function loggedIn(options) {
  const person = newUser()
  await register(person)
  const login = new Login(url, options)
  await login.start(person.email, person.password)
  const chat = new Chat(new ConnectyCube(), login, config)
  chats.push(chat)
  return { login, chat }
}

test('who comes while ConnectyCube is away is in chat when it is back', async () => {
  await control('POST', 'faults', { kind: 'status', status: 503 })
  const { login, chat } = await loggedIn()
  assert.equal(login.state.connectySession, null)
  const connected = chat.connect()
  assert.ok((await login.refresh()).token) // for cubegate itself it is as good as any
  await control('DELETE', 'faults')
  await connected
  assert.equal(login.state.chatStatus, 'READY')
  assert.deepEqual((await chat.call((cube) => cube.chat.dialog.list())).items, [])
})

test('who has been logged out elsewhere is told, and asked for the password', async () => {
  const over = []
  const { login, chat } = await loggedIn({ onOver: (e) => over.push(e.status) })
  await chat.connect()
  await fetch(`${url}/auth/logout`, { method: 'POST', headers: { Authorization: `Bearer ${login.state.token}` } })
  for (;;) { // until ConnectyCube's session has ended, too
    const { status } = await fetch(`${sandbox}/session`, { headers: { 'CB-Token': login.state.connectySession } })
    if (status !== 200) break
  }
  await assert.rejects(chat.call((cube) => cube.chat.dialog.list()), { over: true })
  assert.deepEqual(over, [401])
})

test('an answer of a network in between logs no user out', async () => {
  const said = [[401, '<h1>Welcome to our hotel</h1>'], [403, '{"error":"log in to the Wi-Fi"}'], [404, '']]
  const { login } = await loggedIn({
    fetch: async (address, request) => {
      const [status, body] = (address.endsWith('/auth/refresh') && said.shift()) || []
      return status ? new Response(body, { status }) : fetch(address, request)
    },
    onOver: assert.fail,
  })
  assert.equal((await login.refresh()).chatStatus, 'READY')
  assert.deepEqual(said, [])
})

test('what was saved is what the app begins with next time', async () => {
  let saved
  const { login, chat } = await loggedIn({ save: async (state) => { saved = state } })
  for (let i = 0; i < 3; i++) await login.refresh()
  const next = new Login(url, { state: saved })
  await next.refresh()
  await next.refresh()
  assert.notEqual(next.state.refreshToken, saved.refreshToken)
  await chat.close()
})

/** A server that gives these answers, in order: a state, or [status, code, seconds of Retry-After]. */
function answering(...answers) {
  const asked = []
  const fetch = async (address, { body }) => {
    asked.push([new URL(address).pathname, JSON.parse(body).refreshToken])
    const answer = answers.shift()
    if (answer === 'lost') throw new TypeError('fetch failed')
    if (!Array.isArray(answer)) return { ok: true, status: answer ? 200 : 204, json: async () => ({ ...answer }) }
    const [status, code, retryAfter] = answer
    return { ok: false, status, headers: new Headers(retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) }), json: async () => ({ code, detail: code }) }
  }
  return { asked, fetch }
}

/** Tabs of one app: logins on one storage. */
function tabs(count, fetch, options) {
  let stored = { refreshToken: 'a', deviceToken: 'd' }
  const storage = {
    load: async () => ({ ...stored }),
    save: async (state) => { stored = { ...state } },
  }
  const logins = Array.from({ length: count }, () => new Login('http://server', { ...storage, state: { ...stored }, fetch, ...options }))
  return { logins, storage, stored: () => stored }
}

test('a tab takes what another tab has just renewed', async () => {
  const { asked, fetch } = answering({ refreshToken: 'b' }, { refreshToken: 'c' })
  const { logins: [first, second] } = tabs(2, fetch)
  await first.refresh()
  const heard = []
  second.listen((state) => heard.push(state.refreshToken))
  assert.equal((await second.refresh()).refreshToken, 'b')
  assert.deepEqual(heard, ['b'])
  await second.refresh() // which it has used itself by now
  assert.deepEqual(asked, [['/auth/refresh', 'a'], ['/auth/refresh', 'b']])
})

test('a tab that was asleep refreshes with what is stored, not with what it remembers', async () => {
  const { asked, fetch } = answering({ refreshToken: 'c' })
  const { logins: [tab], storage, stored } = tabs(1, fetch, { onOver: assert.fail })
  await storage.save({ refreshToken: 'b', renewedAt: Date.now() - 3_600_000 }) // an hour ago
  await tab.refresh()
  assert.deepEqual(asked, [['/auth/refresh', 'b']])
  assert.equal(stored().refreshToken, 'c')
})

test('a tab that is late reads the storage again', async () => {
  const { asked, fetch } = answering([401, 'STALE_REFRESH_TOKEN', 30], { refreshToken: 'c' })
  const { logins: [tab], storage } = tabs(1, async (...request) => {
    await storage.save({ refreshToken: 'b' }) // another tab is faster
    return fetch(...request)
  }, { onOver: assert.fail })
  await tab.refresh()
  assert.deepEqual(asked, [['/auth/refresh', 'a'], ['/auth/refresh', 'b']])
})

for (const [what, second] of [['a theft comes out', [401, 'UNAUTHENTICATED']], ['and no oftener', [401, 'STALE_REFRESH_TOKEN', 0]]]) {
  test(`a late token that nothing newer replaces is tried once more: ${what}`, async () => {
    const { asked, fetch } = answering([401, 'STALE_REFRESH_TOKEN', 0], second)
    const over = []
    const { logins: [tab] } = tabs(1, fetch, { onOver: (e) => over.push(e.code) })
    await assert.rejects(tab.refresh(), { over: true })
    assert.deepEqual(over, [second[1]])
    assert.deepEqual(asked, [['/auth/refresh', 'a'], ['/auth/refresh', 'a']])
  })
}

test('a logout ends the login of all tabs, and goes on until the server has heard', async () => {
  const { asked, fetch } = answering('lost', [502], [503, 'SERVICE_UNAVAILABLE'], undefined)
  const over = []
  const { logins: [first, second], stored } = tabs(2, fetch, { onOver: (e) => over.push(e.message) })
  await first.logout()
  assert.deepEqual(stored(), { deviceToken: 'd' })
  assert.deepEqual(asked, Array(4).fill(['/auth/logout', 'a']))
  for (const tab of [first, second]) await assert.rejects(tab.refresh(), { over: true })
  assert.deepEqual(over, ['logged out', 'logged out'])
  assert.equal(asked.length, 4)
})

test('a refresh whose answer comes after the logout changes nothing', async () => {
  let arrive
  const { fetch } = answering({ refreshToken: 'b' }, undefined)
  const { logins: [tab], stored } = tabs(1, async (address, request) => {
    if (address.endsWith('/refresh')) await new Promise((resolve) => { arrive = resolve })
    return fetch(address, request)
  })
  const refreshed = assert.rejects(tab.refresh(), { over: true })
  while (!arrive) await new Promise(setImmediate)
  const left = tab.logout()
  arrive()
  await Promise.all([refreshed, left])
  assert.deepEqual(stored(), { deviceToken: 'd' })
})

test('after a logout, the server takes no token of the login', async () => {
  const { login } = await loggedIn()
  const { token, refreshToken } = login.state
  await login.refresh()
  const next = login.state.refreshToken
  await login.logout()
  for (const old of [refreshToken, next]) {
    const response = await fetch(`${url}/auth/refresh`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ refreshToken: old }) })
    assert.equal(response.status, 401)
  }
  const response = await fetch(`${url}/auth/me`, { headers: { Authorization: `Bearer ${token}` } })
  assert.equal(response.status, 401)
})

test('the device is known at its next login', async () => {
  const sent = []
  const answers = [{ deviceToken: 'first', refreshToken: 'a' }, { deviceToken: null, refreshToken: 'b' }, { deviceToken: 'second', refreshToken: 'c' }]
  const fetch = async (_, { body }) => {
    sent.push(JSON.parse(body))
    return { ok: true, json: async () => answers.shift() }
  }
  const login = new Login('http://server', { fetch })
  await login.start('ada@example.org', 'password', { name: 'phone' })
  await login.refresh()
  await login.start('ada@example.org', 'password', { name: 'phone' })
  assert.deepEqual(sent[0].device, { name: 'phone' })
  assert.deepEqual(sent[2].device, { name: 'phone', token: 'first' })
  assert.equal(login.state.deviceToken, 'second')
})
