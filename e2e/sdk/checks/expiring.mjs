// Sessions end while their users chat. The tests advance the sandbox's clock, so the
// sessions of all users end.

import { after, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { until } from '../../waiting.mjs'
import { control, drop } from '../../cubegate.mjs'
import { client, person, settled } from '../devices.mjs'

export function expiring({ where, online, offline, hangUp }) {
  describe(`expiry in mid-chat, ${where}`, () => {
    after(hangUp)

    const wait = (advance) => control('POST', 'clock', { advance })
    const send = (device, to, body) =>
      device.sdk.chat.send(to, { type: 'chat', body, extension: { save_to_history: 1 } })

    /** A device whose chat password is its session's token, as after a login through us. */
    const onlineByToken = async (owner) => {
      const device = await offline(owner)
      await device.connect(await device.token())
      return device
    }
    const expired = (call) =>
      assert.rejects(call, (e) => e.code === 401 && e.info.errors.base[0] === 'Required session does not exist')

    test('an open stream outlives its session: messages go on, REST does not', async () => {
      const [ada, bob] = [await person('ada'), await person('bob')]
      const [phone, tablet] = [await onlineByToken(ada), await online(bob)]
      await wait('2h1m')
      await expired(phone.sdk.chat.dialog.list())
      await tablet.heard('message', { id: await send(phone, bob.id, 'still talking') })
      await phone.heard('message', { id: await send(tablet, ada.id, 'still listening') })
    })

    // The SDK goes on trying with the expired token. Its refusal may reach a connect with a fresh one, which an
    // app then repeats.
    test('after a drop an expired token is refused; a fresh one brings the device back', async () => {
      const [ada, bob] = [await person('ada'), await person('bob')]
      const [phone, tablet] = [await onlineByToken(ada), await online(bob)]
      await wait('2h1m')
      await drop(ada.id)
      await phone.heard('connection-error', { condition: 'not-authorized' })
      assert.equal((await phone.status()).connected, false)
      assert.equal((await phone.hears('reconnected')).length, 0)

      const missed = await send(tablet, ada.id, 'where are you?')
      const session = await phone.sdk.createSession({ login: ada.login, password: ada.password })
      await phone.sdk.chat.disconnect()
      await until(() => phone.connect(session.token).then(() => true), 'a connection with the fresh token')
      await phone.heard('message', { id: missed })
      await settled(phone, tablet)
      assert.equal((await phone.hears('message', { id: missed })).length, 1)
    })

    test('after a drop a password still lets in, whatever became of the session', async () => {
      const ada = await person('ada')
      const phone = await online(ada)
      await wait('2h1m')
      await drop(ada.id)
      await phone.heard('reconnected')
      await phone.sdk.chat.ping()
    })

    test('an expired token is refused', async () => {
      const ada = await person('ada')
      const phone = await offline(ada)
      const token = await phone.token()
      await wait('2h1m')
      await assert.rejects(phone.enter(token), (e) => e === 'not-authorized')
      await phone.hangUp()
    })

    test('a token whose session was destroyed is refused', async () => {
      const ada = await person('ada')
      const phone = await offline(ada)
      const other = await client(ada)
      const { token } = other.service.getSession()
      await other.destroySession()
      await assert.rejects(phone.enter(token), (e) => e === 'not-authorized')
      await phone.hangUp()
    })
  })
}
