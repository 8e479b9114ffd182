// The end of sessions: two hours after their last use, a day for guests. The
// sandbox's clock is moved, so nothing here waits.

import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { control, sandbox } from '../cubegate.mjs'
import * as node from './devices.mjs'
import { expiring } from './checks/expiring.mjs'

const { client, person, sdk, withoutProvider } = node

const wait = (advance) => control('POST', 'clock', { advance })
const gone = { code: 401, info: { errors: { base: ['Required session does not exist'] } } }

withoutProvider()

describe('expiry of sessions', () => {
  test('a session ends two hours after its last use', async () => {
    const ada = await client(await person('ada'))
    await wait('1h59m')
    await ada.getSession()
    await wait('1h59m')
    await ada.getSession()
    await wait('2h1m')
    await assert.rejects(ada.getSession(), gone)
  })

  test('an application session ends as well', async () => {
    const app = sdk()
    await app.createSession()
    await wait('2h1m')
    await assert.rejects(app.users.getV2({ login: 'ada' }), gone)
  })

  test('each answer says until when the session lives', async () => {
    const ada = await client(await person('ada'))
    const { token } = ada.service.getSession()
    const until = async () => {
      const { headers } = await fetch(`${sandbox}/session`, { headers: { 'CB-Token': token } })
      return Date.parse(headers.get('CB-Token-ExpirationDate').replace(' UTC', 'Z').replace(' ', 'T'))
    }
    const first = await until()
    await wait('30m')
    assert.ok((await until()) - first >= 30 * 60 * 1000)
  })

  test('a guest exists for a day', async () => {
    const guest = sdk()
    const { user_id } = await guest.createSession({ guest: '1', full_name: 'Somebody' })
    for (let i = 0; i < 11; i++) {
      await wait('2h')
      await guest.getSession()
    }
    await wait('2h1m')
    await assert.rejects(guest.getSession(), gone)
    const ada = await client(await person('ada'))
    assert.equal((await ada.users.getV2({ id: user_id })).items.length, 0)
  })

  test('the SDK asks its app for a new session, and then repeats the call', async () => {
    const owner = await person('ada')
    let asked = 0
    const sessionExpired = (refuse, retry) => {
      asked++
      it.createSession({ login: owner.login, password: owner.password }).then(retry, refuse)
    }
    const it = await client(owner, { on: { sessionExpired } })
    await wait('2h1m')
    assert.equal((await it.users.getV2({ id: owner.id })).items.length, 1)
    assert.equal(asked, 1)
    await it.getSession()
    sdk() // takes the handler away
  })

  test('an app that gives up gets the error', async () => {
    const it = await client(await person('ada'), { on: { sessionExpired: (refuse) => refuse() } })
    await wait('2h1m')
    await assert.rejects(it.chat.dialog.list(), gone)
    sdk()
  })

  test('a login does not mind the dead token that the SDK still holds', async () => {
    const owner = await person('ada')
    const it = await client(owner)
    await wait('2h1m')
    await it.createSession({ login: owner.login, password: owner.password })
    assert.equal((await it.getSession()).user_id, owner.id)
  })

  test('a sign-up with a dead token is refused, although the key would do', async () => {
    const it = await client(await person('ada'))
    await wait('2h1m')
    await assert.rejects(it.users.signup({ login: `eve-${node.unique()}`, password: 'secret-secret' }), gone)
  })
})

expiring({ where: 'in Node', ...node })
