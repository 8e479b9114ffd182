// Coming into chat and leaving it, whatever the SDK runs in.

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { becomes, patience } from '../../waiting.mjs'
import { app, chatDomain, person, sdk } from '../devices.mjs'

export function connecting({ where, online, offline, hangUp }) {
  describe(`connecting, ${where}`, () => {
    let ada, phone

    before(async () => {
      ada = await person('ada')
      phone = await online(ada)
    })
    after(hangUp)

    test('a password lets in, under the address of user and application', async () => {
      const { connected, status, jid } = await phone.status()
      assert.equal(connected, true)
      assert.equal(status, 'online')
      assert.equal(jid.split('/')[0], `${ada.id}-${app}@${chatDomain}`)
    })

    test('a session token lets in as well', async () => {
      const device = await offline(ada)
      assert.equal(await device.enter(await device.token()), true)
    })

    test("a guest's token lets in: there is no password", async () => {
      const session = await sdk().createSession({ guest: '1', full_name: 'Somebody' })
      const device = await offline({ id: session.user_id, login: session.user.login, token: session.token })
      assert.equal(await device.enter(session.token), true)
    })

    // The SDK drops stanzas from a JID that contains its own resource.
    test('each device gets a resource of its own, and a long one', async () => {
      const laptop = await online(ada)
      const [first, second] = [await phone.status(), await laptop.status()].map(({ jid }) => jid.split('/')[1])
      assert.ok(first.length >= 16 && second.length >= 16, `${first} ${second}`)
      assert.ok(!first.includes(second) && !second.includes(first), `${first} ${second}`)
    })

    for (const [name, secret] of [
      ['a wrong password', async () => 'not the password'],
      ["another user's token", async () => (await offline(await person('bob'))).token()],
      ['a token that never was', async () => 'A'.repeat(36)],
    ]) {
      test(`${name} is refused`, async () => {
        const device = await offline(ada)
        const attempt = device.enter(await secret())
        await assert.rejects(attempt, (e) => e === 'not-authorized')
        assert.equal((await device.status()).connected, false)
        await device.hangUp()
      })
    }

    test('a user who is not there is refused', async () => {
      const device = await offline(ada)
      await assert.rejects(device.enter(ada.password, 1), (e) => e === 'not-authorized')
      await device.hangUp()
    })

    test('who was refused gets in with the right password', async () => {
      const device = await offline(ada)
      await assert.rejects(device.enter('not the password'))
      await device.hangUp()
      assert.equal(await device.enter(), true)
    })

    // The SDK itself repeats a login with a wrong password again and again (docs/connectycube.md, Chat).
    test('who fails too often is told to wait, and the right password lets in all the same', async () => {
      const eve = await person('eve')
      const device = await offline(eve)
      const conditions = []
      while (!conditions.includes('temporary-auth-failure') && conditions.length < 60) { // one more is forgiven every six seconds
        await assert.rejects(device.enter('not the password'), (e) => Boolean(conditions.push(e)))
        await device.hangUp()
      }
      // chat/login_test.go counts them. Here, the SDK may have repeated a login before it hung up.
      assert.deepEqual([...new Set(conditions)], ['not-authorized', 'temporary-auth-failure'])
      await device.connect()
    })

    test('connecting once more changes nothing', async () => {
      const { jid } = await phone.status()
      assert.equal(await phone.enter(), false)
      assert.equal((await phone.status()).jid, jid)
    })

    test('ping is answered', async () => {
      await phone.sdk.chat.pingWithTimeout(patience)
    })

    test('who disconnects is gone, and may come back', async () => {
      const device = await online(ada)
      assert.equal(await device.sdk.chat.disconnect(), true)
      assert.equal((await device.status()).connected, false)
      assert.equal(await device.enter(), true)
      assert.equal((await device.status()).connected, true)
    })

    test('who is in chat is online for REST, until the last device leaves', async () => {
      const eve = await person('eve')
      const [first, second] = [await online(eve), await online(eve)]
      const listed = async () => (await phone.sdk.users.listOnline()).users.filter((u) => u.id === eve.id).length
      assert.equal(await listed(), 1)
      assert.ok((await phone.sdk.users.getOnlineCount()).count >= 2)
      await first.hangUp()
      assert.equal(await listed(), 1)
      await second.hangUp()
      await becomes(listed, 0, 'devices of who has left')
    })
  })
}
