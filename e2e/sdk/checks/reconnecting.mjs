// Connections that break, by the server's hand and by the device's own.

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { control, drop, halfOpen } from '../../cubegate.mjs'
import { person, settled, unique } from '../devices.mjs'

export function reconnecting({ where, online, hangUp }) {
  describe(`reconnecting, ${where}`, () => {
    let ada, bob, phone, tablet

    before(async () => {
      ;[ada, bob] = [await person('ada'), await person('bob')]
      ;[phone, tablet] = [await online(ada), await online(bob)]
    })
    after(hangUp)

    const send = (device, to, body) =>
      device.sdk.chat.send(to, { body, extension: { save_to_history: 1 } })

    /** Breaks a device's connection, and waits until the SDK has noticed and is back. */
    const broken = async (device, how) => {
      const [gone, back] = [(await device.hears('disconnected')).length, (await device.hears('reconnected')).length]
      await how()
      await device.heard('disconnected', {}, gone + 1)
      return () => device.heard('reconnected', {}, back + 1)
    }
    const cut = (device) => () => drop(device.id)
    const fault = (what) => control('POST', 'faults', { on: 'chat', stanza: 'message', ...what })

    test('a dropped socket: the SDK notices and comes back as the same user', async () => {
      const before = (await phone.status()).jid
      await (await broken(phone, cut(phone)))()
      const { connected, jid } = await phone.status()
      assert.equal(connected, true)
      assert.equal(jid.split('/')[0], before.split('/')[0])
      assert.notEqual(jid, before)
      await phone.sdk.chat.ping()
    })

    test('what is sent meanwhile is there afterwards, once and in order', async () => {
      const mark = unique()
      const returned = await broken(phone, cut(phone))
      for (let i = 0; i < 5; i++) await send(tablet, ada.id, `${mark} ${i}`)
      await returned()
      await phone.heard('message', { body: (b) => b.startsWith(mark) }, 5)
      await settled(tablet, phone)
      const got = await phone.hears('message', { body: (b) => b.startsWith(mark) })
      assert.deepEqual(got.map((m) => m.body), [0, 1, 2, 3, 4].map((i) => `${mark} ${i}`))
    })

    test('after the return messages go both ways', async () => {
      await (await broken(phone, cut(phone)))()
      await tablet.heard('message', { id: await send(phone, bob.id, 'I am back') })
      await phone.heard('message', { id: await send(tablet, ada.id, 'welcome') })
    })

    test('groups are heard after the return without a join', async () => {
      const { _id } = await tablet.sdk.chat.dialog.create({ type: 2, name: 'group', occupants_ids: [ada.id] })
      await (await broken(phone, cut(phone)))()
      await phone.heard('message', { id: await send(tablet, _id, 'still with us?') })
      await tablet.heard('message', { id: await send(phone, _id, 'still here') })
    })

    test('a device that ends its own socket comes back, too', async () => {
      await (await broken(phone, () => phone.sdk.chat.terminate()))()
      await phone.heard('message', { id: await send(tablet, ada.id, 'there again?') })
    })

    test('all clients are dropped at once, and all reconnect', async () => {
      const others = [await online(ada), await online(bob)]
      const all = [phone, tablet, ...others]
      const counts = await Promise.all(all.map(async (d) => (await d.hears('reconnected')).length))
      await drop()
      await Promise.all(all.map((device, i) => device.heard('reconnected', {}, counts[i] + 1)))
      await settled(...all)
      const id = await send(tablet, ada.id, 'all here?')
      for (const device of [phone, others[0]]) await device.heard('message', { id })
    })

    // No event reports a half-open socket: the app notices it with a ping. terminate()
    // does not help, because the WebSocket waits half a minute for the server's close.
    test('a half-open socket: ping fails, connecting anew helps, and the history has what was missed', async () => {
      const eve = await person('eve')
      const device = await online(eve)
      const there = await device.heard('message', { id: await send(tablet, eve.id, 'before') })
      await halfOpen(eve.id)
      const missed = await send(tablet, eve.id, 'into the void')
      await assert.rejects(device.sdk.chat.pingWithTimeout(500))
      await device.heard('connection-error')
      assert.equal((await device.status()).connected, true)
      await device.sdk.chat.disconnect()
      await device.connect()
      await device.heard('message', { id: await send(tablet, eve.id, 'after') })
      const { items } = await device.sdk.chat.message.list({ chat_dialog_id: there.dialog_id, mark_as_read: 0 })
      assert.ok(items.some((m) => m._id === missed))
      assert.ok((await device.hears('message', { id: missed })).length <= 1)
      await (await broken(device, cut(device)))() // ends the silent socket, too
    })

    test('a message that is delivered twice has one id, and is once in the history', async () => {
      await fault({ kind: 'duplicate', user: bob.id, times: 1 })
      const id = await send(tablet, ada.id, 'twice')
      const [first, second] = await phone.heard('message', { id }, 2)
      assert.equal(first.body, second.body)
      const { items } = await phone.sdk.chat.message.list({ chat_dialog_id: first.dialog_id, mark_as_read: 0 })
      assert.equal(items.filter((m) => m._id === id).length, 1)
    })

    test('messages that are held back keep their order', async () => {
      const mark = unique()
      await fault({ kind: 'delay', user: bob.id, delay_ms: 300, times: 2 })
      for (let i = 0; i < 5; i++) await send(tablet, ada.id, `${mark} ${i}`)
      const got = await phone.heard('message', { body: (b) => b.startsWith(mark) }, 5)
      assert.deepEqual(got.map((m) => m.body), [0, 1, 2, 3, 4].map((i) => `${mark} ${i}`))
    })

    test('a message may be refused by the server, and the sender hears of it', async () => {
      await fault({ kind: 'refuse', user: bob.id, times: 1 })
      const id = await send(tablet, ada.id, 'no luck')
      assert.ok((await tablet.heard('message-error', { id })).error.code >= 400)
      await settled(tablet, phone)
      assert.equal((await phone.hears('message', { id })).length, 0)
    })

    test('a socket that breaks with a message in hand: it is lost, and nothing after it', async () => {
      await fault({ kind: 'drop', user: bob.id, times: 1 })
      let lost
      await (await broken(tablet, async () => (lost = await send(tablet, ada.id, 'lost'))))()
      await phone.heard('message', { id: await send(tablet, ada.id, 'not lost') })
      assert.equal((await phone.hears('message', { id: lost })).length, 0)
    })

    test('a socket that breaks after the work was done: sending again is the same message', async () => {
      await fault({ kind: 'lost-answer', user: bob.id, times: 1 })
      const body = `did it arrive? ${unique()}`
      let id
      await (await broken(tablet, async () => (id = await send(tablet, ada.id, body))))()
      const { dialog_id } = await phone.heard('message', { id })
      const again = { id, body, extension: { save_to_history: 1 } }
      await tablet.sdk.chat.send(ada.id, again)
      await settled(tablet, phone)
      const { items } = await phone.sdk.chat.message.list({ chat_dialog_id: dialog_id, mark_as_read: 0, sort_desc: 'date_sent', limit: 100 })
      assert.deepEqual(items.filter((m) => m.message === body).map((m) => m._id), [id])
      assert.equal((await phone.hears('message', { body })).length, 1)
    })

    test('a user who is deleted is sent out and stays out', async () => {
      const eve = await person('eve')
      const device = await online(eve)
      await device.sdk.users.delete()
      await device.heard('disconnected')
      await device.heard('connection-error', { condition: 'not-authorized' }, 2) // put out, then refused
      assert.equal((await device.status()).connected, false)
      await device.hangUp()
      const id = await send(phone, eve.id, 'gone?')
      assert.ok((await phone.heard('message-error', { id })).error.code >= 400)
    })
  })
}
