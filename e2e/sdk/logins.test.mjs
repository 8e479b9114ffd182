// Sessions that the SDK opens itself, of an application without an identity provider.

import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { client, person, sdk, settings, unique, withoutProvider } from './devices.mjs'

withoutProvider()

describe('logins', () => {
  const needUser = { code: 403, info: { errors: { base: ['Forbidden. Need user.'] } } }
  const wrongPassword = { code: 401, info: { errors: ['Invalid password'] } }

  test('an application session has no user', async () => {
    const session = await sdk().createSession()
    assert.equal(session.user_id, null)
    assert.equal(session.user, undefined)
    assert.match(session.token, /^[0-9A-F]{36}$/)
    assert.equal(session.application_id, 1001)
  })

  test("it may look users up, and may do nothing in a user's name", async () => {
    const ada = await person('ada')
    const app = sdk()
    await app.createSession()
    assert.equal((await app.users.getV2({ id: ada.id })).items[0].login, ada.login)
    await assert.rejects(app.chat.dialog.list(), needUser)
    await assert.rejects(app.users.update({ full_name: 'x' }), needUser)
    await assert.rejects(app.pushnotifications.subscriptions.list(), needUser)
  })

  for (const name of ['login', 'email']) {
    test(`${name} and password open a user's session`, async () => {
      const ada = await person('ada')
      const session = await sdk().createSession({ [name]: ada[name], password: ada.password })
      assert.equal(session.user_id, ada.id)
      assert.equal(session.id, ada.id)
      assert.equal(session.user.login, ada.login)
      assert.equal(session.user.password, undefined)
      assert.match(session.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    })
  }

  test('an email counts without regard to case', async () => {
    const ada = await person('ada')
    const session = await sdk().createSession({ email: ada.email.toUpperCase(), password: ada.password })
    assert.equal(session.user_id, ada.id)
  })

  test('a wrong password is refused', async () => {
    const ada = await person('ada')
    await assert.rejects(sdk().createSession({ login: ada.login, password: 'not the password' }), wrongPassword)
  })

  test('a wrong application key is refused', async () => {
    const it = sdk()
    it.init({ appId: 1001, authKey: 'wrong' }, settings())
    const attempt = it.createSession()
    sdk() // puts the key back, for all
    await assert.rejects(attempt, { code: 401 })
  })

  test('an unknown user is signed up by logging in', async () => {
    const login = `new-${unique()}`
    const session = await sdk().createSession({ login, password: 'secret-secret', full_name: 'dropped by the SDK' })
    assert.equal(session.user.login, login)
    assert.equal(session.user.full_name, null)
    const again = await sdk().createSession({ login, password: 'secret-secret' })
    assert.equal(again.user_id, session.user_id)
    await assert.rejects(sdk().createSession({ login, password: 'other-secret' }), wrongPassword)
  })

  test('a guest has a name of its own and no password', async () => {
    const guest = sdk()
    const session = await guest.createSession({ guest: '1', full_name: 'Somebody' })
    assert.equal(session.user.is_guest, true)
    assert.match(session.user.login, /^guest_login_/)
    assert.equal(session.user.full_name, 'Somebody')
    assert.equal((await guest.getSession()).user_id, session.user_id)
    await assert.rejects(sdk().createSession({ login: session.user.login, password: 'secret-secret' }), { code: 401 })
  })

  test('login() gives an application session a user, logout() takes it away; the token stays', async () => {
    const ada = await person('ada')
    const it = sdk()
    const { token } = await it.createSession()
    const user = await it.login({ login: ada.login, password: ada.password })
    assert.equal(user.id, ada.id)
    assert.equal((await it.getSession()).user_id, ada.id)
    assert.equal((await it.getSession()).token, token)
    await it.chat.dialog.list()
    await it.logout()
    assert.equal((await it.getSession()).user_id, null)
    await assert.rejects(it.chat.dialog.list(), needUser)
  })

  test('login() refuses a wrong password, and the session stays without a user', async () => {
    const ada = await person('ada')
    const it = sdk()
    await it.createSession()
    await assert.rejects(it.login({ email: ada.email, password: 'not the password' }), wrongPassword)
    await assert.rejects(it.login({ email: ada.email }), { code: 422, info: { errors: { password: ['cannot be blank'] } } })
    assert.equal((await it.getSession()).user_id, null)
  })

  test('a call without any session is refused', async () => {
    await assert.rejects(sdk().getSession(), { code: 401, info: { errors: ['Token is required'] } })
  })

  test('a destroyed session is gone', async () => {
    const it = await client(await person('ada'))
    const { token } = it.service.getSession()
    await it.destroySession()
    await assert.rejects(sdk({}, token).getSession(), {
      code: 401,
      info: { errors: { base: ['Required session does not exist'] } },
    })
  })

  test('each device has a session of its own', async () => {
    const ada = await person('ada')
    const [phone, laptop] = [await client(ada), await client(ada)]
    assert.notEqual(phone.service.getSession().token, laptop.service.getSession().token)
    await phone.destroySession()
    assert.equal((await laptop.getSession()).user_id, ada.id)
  })

  test('a session made elsewhere is taken over by its token', async () => {
    const ada = await person('ada')
    const { token } = (await client(ada)).service.getSession()
    assert.equal((await sdk({}, token).getSession()).user.login, ada.login)
  })
})
