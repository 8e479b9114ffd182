// What the recipe of the README does when it cannot simply go on: ConnectyCube is
// away, or the login is over. expiries.test.mjs has the rest.

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
