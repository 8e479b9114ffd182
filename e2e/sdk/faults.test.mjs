// An app sees all failures of the service: the SDK neither retries nor hides them
// (docs/connectycube.md, Errors).

import { afterEach, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { control } from '../cubegate.mjs'
import { client, person, sdk, unique, withoutProvider } from './devices.mjs'

withoutProvider()

describe('faults of REST', () => {
  let ada, it

  before(async () => {
    ada = await person('ada')
    it = await client(ada)
  })
  afterEach(() => control('DELETE', 'faults'))

  const fault = (what) => control('POST', 'faults', { times: 1, ...what })
  const find = () => it.users.getV2({ id: ada.id })

  test('a status comes as it is, once', async () => {
    await fault({ path: '/users/v2', kind: 'status', status: 429 })
    await assert.rejects(find(), (e) => e.code === 429 && Boolean(e.info.errors))
    assert.equal((await find()).items.length, 1)
  })

  test('only the path that is meant misbehaves', async () => {
    await fault({ path: '/chat/dialog', kind: 'status', status: 503 })
    assert.equal((await find()).items.length, 1)
    await assert.rejects(it.chat.dialog.list(), { code: 503 })
  })

  test('a page for people is no JSON', async () => {
    await fault({ path: '/users/v2', kind: 'html' })
    await assert.rejects(find(), { code: 502, info: ' ' })
  })

  test('an empty success is a failure', async () => {
    await fault({ path: '/users/v2', kind: 'empty' })
    await assert.rejects(find(), { code: 200, info: ' ' })
  })

  test('half an answer is a failure', async () => {
    await fault({ path: '/users/v2', kind: 'truncated' })
    sdk({ timeout: 500 }) // without one, the SDK waits in Node forever (docs/connectycube.md, Errors)
    await assert.rejects(find())
    sdk() // puts the time limit back
    assert.equal((await find()).items.length, 1)
  })

  test('a cut connection is a failure', async () => {
    await fault({ path: '/users/v2', kind: 'reset' })
    await assert.rejects(find(), { code: 'ECONNRESET' })
  })

  test('a lost answer hides that the work was done', async () => {
    const login = `eve-${unique()}`
    await fault({ method: 'POST', path: '/users', kind: 'lost-answer' })
    await assert.rejects(sdk().users.signup({ login, password: 'secret-secret' }))
    assert.equal((await it.users.getV2({ login })).items.length, 1)
    await assert.rejects(sdk().users.signup({ login, password: 'secret-secret' }), { code: 422 })
  })

  test('work that is done twice makes two messages, as the service makes the ids', async () => {
    const bob = await person('bob')
    await fault({ method: 'POST', path: '/chat/message', kind: 'duplicate' })
    const { chat_dialog_id } = await it.chat.message.create({ recipient_id: bob.id, message: 'once' })
    const { items } = await it.chat.message.list({ chat_dialog_id })
    assert.deepEqual(items.map((m) => m.message), ['once', 'once'])
  })

  test('a slow answer is an answer; a silent server runs into the time limit', async () => {
    await fault({ path: '/users/v2', kind: 'slow', delay_ms: 200 })
    assert.equal((await find()).items.length, 1)
    await fault({ path: '/users/v2', kind: 'hang' })
    const hasty = await client(ada)
    sdk({ timeout: 500 }) // of all, from here on: a busy machine may need longer for a session
    await assert.rejects(hasty.users.getV2({ id: ada.id }), /timeout/)
    sdk() // puts the time limit back
  })

  test('a refused login leaves the SDK as it was', async () => {
    await fault({ method: 'POST', path: '/session', kind: 'status', status: 500 })
    await assert.rejects(it.createSession({ login: ada.login, password: ada.password }), { code: 500 })
    assert.equal((await it.getSession()).user_id, ada.id)
  })

  test('faults are listed until they are taken away', async () => {
    await control('POST', 'faults', { path: '/users/v2', kind: 'status', status: 503 })
    await assert.rejects(find(), { code: 503 })
    await assert.rejects(find(), { code: 503 })
    assert.equal((await control('GET', 'faults')).faults.length, 1)
    await control('DELETE', 'faults')
    assert.equal((await find()).items.length, 1)
  })
})
