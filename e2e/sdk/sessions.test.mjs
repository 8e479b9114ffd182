// The official SDK, unmodified, with sessions that cubegate has opened and with sessions
// that the SDK opens.

import { after, before, beforeEach, test } from 'node:test'
import assert from 'node:assert/strict'
import SDK from 'connectycube'
import { cidp, control, logIn, newUser, register, sandbox } from '../cubegate.mjs'
import { patience } from '../waiting.mjs'

const { ConnectyCube } = SDK.default ?? SDK

// The SDK keeps its settings in global variables (docs/connectycube.md, Sessions), so each
// test creates an SDK of its own, and only one at a time.
const config = { endpoints: { api_url: sandbox }, debug: { mode: 0 }, timeout: patience }

/** An SDK that holds a session made elsewhere, as a phone gets it from us. */
function withSession(token) {
  const sdk = new ConnectyCube()
  sdk.init({ appId: 1001, token }, config)
  return sdk
}

/** An SDK that opens its own, with the application's key. */
function withKey() {
  const sdk = new ConnectyCube()
  sdk.init({ appId: 1001, authKey: 'sandbox-auth-key' }, config)
  return sdk
}

let ada
let user

before(async () => {
  ada = newUser()
  user = await register(ada)
})
beforeEach(() => control('PUT', 'cidp', cidp.POST))
after(() => control('PUT', 'cidp', cidp.POST))

for (const operation of ['login', 'login_By_token']) {
  test(`${operation}: the SDK uses the session and finds the user behind it`, async () => {
    const answer = await logIn(ada, operation)
    assert.equal(answer.message, 'Login successful')
    assert.equal(answer.chatStatus, 'READY')
    const sdk = withSession(answer.connectySession)
    const session = await sdk.getSession()
    assert.equal(session.user_id, answer.ccUserId)
    const { items } = await sdk.users.getV2({ id: { in: [answer.ccUserId] } })
    assert.equal(items.length, 1)
    assert.equal(items[0].external_id, user.id)
    assert.equal(items[0].full_name, 'Ada Lovelace')
  })
}

test('both logins are one user at ConnectyCube', async () => {
  const [first, second] = [await logIn(ada), await logIn(ada, 'login_By_token')]
  assert.equal(first.ccUserId, second.ccUserId)
  const { users } = await control('GET', 'state')
  assert.equal(users.filter((u) => u.external_id === user.id || u.email === ada.email).length, 1)
})

for (const method of ['POST', 'GET']) {
  test(`the SDK opens a session with our ticket, verified by ${method}`, async () => {
    await control('PUT', 'cidp', cidp[method])
    const { chatTicket, ccUserId } = await logIn(ada)
    const session = await withKey().createSession({ login: chatTicket, password: 'anything' })
    assert.equal(session.user_id, ccUserId)
    assert.equal(session.user.external_id, user.id)
  })
}

test('the SDK opens a session with the access token, as apps of the original do', async () => {
  const { token, ccUserId } = await logIn(ada)
  const session = await withKey().createSession({ login: token, password: 'cidp-temporary-password' })
  assert.equal(session.user_id, ccUserId)
})

test('the SDK logs in with email and password while the application asks us', async () => {
  const { ccUserId } = await logIn(ada)
  const session = await withKey().createSession({ email: ada.email, password: ada.password })
  assert.equal(session.user_id, ccUserId)
})

test('the SDK logs in with email and password while the application asks no provider', async () => {
  await control('PUT', 'cidp', cidp.off)
  const { ccUserId, chatStatus } = await logIn(ada)
  assert.equal(chatStatus, 'READY')
  const session = await withKey().createSession({ email: ada.email, password: ada.password })
  assert.equal(session.user_id, ccUserId)
})

test('an application that asks by GET refuses passwords, and our login works all the same', async () => {
  await control('PUT', 'cidp', cidp.GET)
  await assert.rejects(withKey().createSession({ email: ada.email, password: ada.password }), { code: 422 })
  const answer = await logIn(ada)
  assert.equal(answer.chatStatus, 'READY')
  assert.equal((await withSession(answer.connectySession).getSession()).user_id, answer.ccUserId)
})

test('the SDK is refused what is not ours', async () => {
  const { chatTicket } = await logIn(ada)
  await assert.rejects(withKey().createSession({ login: `${chatTicket}x`, password: 'anything' }), { code: 422 })
  await assert.rejects(withKey().createSession({ email: ada.email, password: 'wrong password' }), { code: 422 })
})

test('one user of the SDK cannot be mistaken for another', async () => {
  const eve = newUser()
  const { id } = await register(eve)
  const [first, second] = await Promise.all([logIn(ada), logIn(eve)])
  assert.notEqual(first.ccUserId, second.ccUserId)
  const session = await withSession(second.connectySession).getSession()
  assert.equal(session.user.external_id, id)
})

test('a session that the SDK ends does not end the next login', async () => {
  const first = await logIn(ada)
  await withSession(first.connectySession).destroySession()
  await assert.rejects(withSession(first.connectySession).getSession(), { code: 401 })
  const second = await logIn(ada)
  assert.equal((await withSession(second.connectySession).getSession()).user_id, first.ccUserId)
})
