// An identity provider of the application's own: here the test is the provider.

import { after, before, beforeEach, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { control } from '../cubegate.mjs'
import { hangUp, offline, person, sdk, unique, withoutProvider } from './devices.mjs'

withoutProvider()

describe('an identity provider', () => {
  let provider, url
  let asked // what the sandbox sent, in order
  let answer // what the provider says: (request) => [status, body]

  before(async () => {
    provider = createServer(async (req, res) => {
      let body = ''
      for await (const chunk of req) body += chunk
      const { pathname, searchParams } = new URL(req.url, url)
      const request = { method: req.method, path: pathname, query: Object.fromEntries(searchParams), headers: req.headers, body }
      asked.push(request)
      const [status, said] = answer(request)
      res.writeHead(status, { 'Content-Type': 'application/json' }).end(typeof said === 'string' ? said : JSON.stringify(said))
    })
    await new Promise((resolve) => provider.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${provider.address().port}/verify`
  })
  after(async () => {
    await hangUp()
    await new Promise((resolve) => provider.close(resolve))
  })

  beforeEach(() => {
    asked = []
    answer = () => [404, { error: 'the test has set no answer' }]
  })

  const configure = (cidp) =>
    control('PUT', 'cidp', {
      enabled: true,
      method: 'GET',
      url,
      request_params: { token: '#{login}' },
      response_params: { uid: '#{user.id}' },
      ...cidp,
    })
  const login = (token, password = 'cidp-temporary-password') => sdk().createSession({ login: token, password })
  const refused = (text) => ({ code: 422, info: { errors: { base: [text] } } })

  test('a GET carries the token in its query; the uid becomes the external id', async () => {
    const uid = unique()
    answer = () => [200, { user: { id: uid } }]
    await configure({})
    const { user, user_id } = await login('a.jwt.of+ours')
    assert.deepEqual(asked.map((r) => [r.method, r.path, r.query]), [['GET', '/verify', { token: 'a.jwt.of+ours' }]])
    assert.equal(user.external_id, uid)
    assert.equal(user.login, `custom_${uid}`)
    assert.equal(user.id, user_id)
  })

  // docs/connectycube.md, Mistakes in its set-up: with a status of 200, the SDK has no session to read.
  test('a refusal as of 2020 surprises the SDK, and is 422 at login', async () => {
    answer = () => [401, '{"message":"No authorization token was found"}']
    await configure({ headers: { Authorization: 'Bearer #{token}' }, request_params: {}, answers: '2020' })
    await assert.rejects(login('the-token'), TypeError)
    assert.equal(asked[0].headers.authorization.trim(), 'Bearer')
    const it = sdk()
    await it.createSession()
    await assert.rejects(it.login({ login: 'the-token', password: 'any' }), ({ code, info }) => {
      assert.match(info.errors[0], /^Bad Authentication data\. Unauthorized on remote side\. Status: 401\.Response ".*No authorization token/)
      return code === 422
    })
  })

  test('a provider that this machine alone reaches does not exist for the service', async () => {
    await configure({ outside: true })
    await assert.rejects(login('the-token'), { code: 500 })
    assert.equal(asked.length, 0)
  })

  test('a POST carries what is configured, in its body and its headers', async () => {
    answer = () => [200, { user: { id: unique() } }]
    await configure({
      method: 'POST',
      request_params: { token: '#{login}', secret: '#{password}', fixed: 'yes' },
      headers: { 'X-Api-Key': 'k', Authorization: 'Bearer #{login}' },
    })
    await login('the-token', 'the-password')
    const [{ method, headers, body }] = asked
    assert.equal(method, 'POST')
    assert.deepEqual(JSON.parse(body), { token: 'the-token', secret: 'the-password', fixed: 'yes' })
    assert.equal(headers['x-api-key'], 'k')
    assert.equal(headers.authorization, 'Bearer the-token')
  })

  test('one uid is one user, however often and however late', async () => {
    const uid = unique()
    answer = () => [200, { user: { id: uid } }]
    await configure({})
    const [first, second] = [await login('one-token'), await login('another-token')]
    assert.equal(first.user_id, second.user_id)
    assert.notEqual(first.token, second.token)
  })

  test('a uid that is a number is a string afterwards', async () => {
    const uid = Math.floor(Math.random() * 1e9)
    answer = () => [200, { user: { id: uid } }]
    await configure({})
    assert.equal((await login('token')).user.external_id, String(uid))
  })

  test('profile fields that are mapped are kept', async () => {
    const uid = unique()
    answer = () => [200, { user: { id: uid, mail: `${uid}@example.org`, name: 'Ada', nick: `nick-${uid}` } }]
    await configure({
      response_params: { uid: '#{user.id}', email: '#{user.mail}', full_name: '#{user.name}', login: '#{user.nick}' },
    })
    const { user } = await login('token')
    assert.deepEqual([user.email, user.full_name, user.login], [`${uid}@example.org`, 'Ada', `nick-${uid}`])
  })

  test('a user who signed up with the uid is found again', async () => {
    const uid = unique()
    const ada = await person('ada', { external_id: uid })
    answer = () => [200, { user: { id: uid } }]
    await configure({})
    assert.equal((await login('token')).user_id, ada.id)
  })

  test('a user who signed up without it is another user: the classic surprise', async () => {
    const uid = unique()
    const ada = await person('ada')
    answer = () => [200, { user: { id: uid, email: ada.email } }]
    await configure({})
    assert.notEqual((await login('token')).user_id, ada.id)
  })

  test('a mapping that finds no uid: the classic mistake', async () => {
    answer = () => [200, { uid: 1 }]
    await configure({})
    await assert.rejects(login('token'), refused('Custom Identity Provider uid is required'))
  })

  test('a refusal is passed on with its text and status', async () => {
    answer = () => [404, { error: 'Token invalid' }]
    await configure({})
    const text = 'Custom Identity Provider responded with an error = "Token invalid". Status code = 404'
    await assert.rejects(login('token'), refused(text))
    assert.equal(asked.length, 1, 'there is no second try')
  })

  test('an answer that is no JSON is no answer', async () => {
    answer = () => [200, '<html>']
    await configure({})
    await assert.rejects(login('token'), (e) => e.code >= 422)
  })

  test('login() asks the provider, too', async () => {
    const uid = unique()
    answer = () => [200, { user: { id: uid } }]
    await configure({})
    const it = sdk()
    await it.createSession()
    assert.equal((await it.login({ login: 'token', password: 'anything' })).external_id, uid)
    assert.equal(asked.length, 1)
  })

  // With an identity provider, ConnectyCube accepts no login without it (docs/connectycube.md, Identity provider).
  test('passwords go to the provider, which does not know them', async () => {
    const ada = await person('ada')
    await configure({})
    await assert.rejects(sdk().createSession({ login: ada.login, password: ada.password }), { code: 422 })
    assert.deepEqual(asked.map((r) => r.query), [{ token: ada.login }])
  })

  // The example in the guide forgets the password, and the SDK then sends no user.
  test('a token without a password opens an application session, without a callback', async () => {
    await configure({})
    assert.equal((await sdk().createSession({ login: 'token' })).user_id, null)
    assert.equal(asked.length, 0)
  })

  test('who came by the provider chats with the session token', async () => {
    const uid = unique()
    answer = () => [200, { user: { id: uid } }]
    await configure({})
    const { user_id, token } = await login('token')
    const phone = await offline({ id: user_id, login: 'token', password: 'anything' })
    assert.equal(await phone.enter(token), true)
  })
})
