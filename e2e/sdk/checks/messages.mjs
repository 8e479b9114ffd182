// Messages between two: ada has a phone and a laptop, bob a tablet.

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { person, settled, unique } from '../devices.mjs'

export function messages({ where, online, offline, hangUp }) {
  describe(`messages between two, ${where}`, () => {
    let ada, bob, phone, laptop, tablet

    before(async () => {
      ;[ada, bob] = [await person('ada'), await person('bob')]
      ;[phone, laptop, tablet] = [await online(ada), await online(ada), await online(bob)]
    })
    after(hangUp)

    /** Sends from a device and returns the message's id. */
    const send = (device, to, body, extension = {}) =>
      device.sdk.chat.send(to.id, { type: 'chat', body, extension: { save_to_history: 1, ...extension } })

    const history = async (device, dialog) =>
      (await device.sdk.chat.message.list({ chat_dialog_id: dialog, mark_as_read: 0 })).items

    test('a message arrives as it was sent', async () => {
      const body = `hello ${unique()}`
      const id = await send(phone, bob, body)
      const got = await tablet.heard('message', { id })
      assert.equal(got.body, body)
      assert.equal(got.from, ada.id)
      assert.equal(got.recipient_id, bob.id)
      assert.equal(got.type, 'chat')
      assert.equal(got.is_forwarded, false)
      assert.equal(got.delay, null)
    })

    test('the server adds the dialog, the id and the time', async () => {
      const id = await send(phone, bob, 'with additions')
      const { dialog_id, extension } = await tablet.heard('message', { id })
      assert.match(dialog_id, /^[0-9a-f]{24}$/)
      assert.equal(extension.dialog_id, dialog_id)
      assert.equal(extension.message_id, id)
      assert.match(extension.date_sent, /^[0-9]{10}$/)
    })

    test('the first message makes the dialog, and both have it', async () => {
      const [cyd, dan] = [await person('cyd'), await person('dan')]
      const [first, second] = [await online(cyd), await online(dan)]
      assert.equal((await first.sdk.chat.dialog.list()).total_entries, 0)
      const id = await send(first, dan, 'we never met')
      const { dialog_id } = await second.heard('message', { id })
      for (const device of [first, second]) {
        const { items } = await device.sdk.chat.dialog.list()
        assert.equal(items.length, 1)
        assert.equal(items[0]._id, dialog_id)
        assert.equal(items[0].type, 3)
        assert.deepEqual(items[0].occupants_ids.toSorted(), [cyd.id, dan.id].toSorted())
        assert.equal(items[0].last_message, 'we never met')
      }
    })

    test('an answer is in the same dialog', async () => {
      const there = await tablet.heard('message', { id: await send(phone, bob, 'there') })
      const back = await phone.heard('message', { id: await send(tablet, ada, 'and back') })
      assert.equal(back.dialog_id, there.dialog_id)
    })

    test('the history has it under the same id', async () => {
      const body = `kept ${unique()}`
      const id = await send(phone, bob, body)
      const { dialog_id } = await tablet.heard('message', { id })
      for (const device of [phone, tablet]) {
        const kept = (await history(device, dialog_id)).find((m) => m._id === id)
        assert.equal(kept?.message, body)
        assert.equal(kept.sender_id, ada.id)
        assert.equal(kept.recipient_id, bob.id)
        assert.equal(kept.chat_dialog_id, dialog_id)
      }
    })

    for (const [name, extension] of [
      ['what is not to be saved', { save_to_history: 0 }],
      ['what does not ask to be saved', { colour: 'blue' }],
      ['what has no parameters at all', undefined],
    ]) {
      test(`${name} arrives and is in no history`, async () => {
        const id = await tablet.sdk.chat.send(ada.id, { type: 'chat', body: 'forget me', extension })
        const { dialog_id } = await phone.heard('message', { id })
        assert.ok(!(await history(tablet, dialog_id)).some((m) => m._id === id))
      })
    }

    test('a dialog that the client makes up is put right', async () => {
      const { dialog_id } = await phone.heard('message', { id: await send(tablet, ada, 'ours') })
      const id = await send(tablet, ada, 'elsewhere?', { dialog_id: '0123456789abcdef01234567', date_sent: 1 })
      const got = await phone.heard('message', { id })
      assert.equal(got.dialog_id, dialog_id)
      assert.notEqual(got.extension.date_sent, '1')
    })

    test('a message can be marked: the stanza says so', async () => {
      const id = await send(phone, bob, 'mark me')
      await tablet.heard('message', { id })
      const [{ xml }] = await tablet.hears('stanza', { xml: (x) => x.includes(id) && x.includes('>mark me<') })
      assert.match(xml, /<markable xmlns="urn:xmpp:chat-markers:0"\/>/)
    })

    for (const [name, body] of [
      ['markup', '<b>&amp; "quotes" \'single\' ]]> <!-- no comment -->'],
      ['emoji and every direction', '👩‍👩‍👧‍👦 שלום 你好 e\u0301 \u{1F600}'],
      ['lines', 'one\ntwo\n\tthree  and spaces '],
      ['a long text', 'long '.repeat(4000)],
    ]) {
      test(`${name} is unchanged, on the way and in the history`, async () => {
        const id = await send(phone, bob, body)
        const got = await tablet.heard('message', { id })
        assert.equal(got.body, body)
        assert.equal((await history(tablet, got.dialog_id)).find((m) => m._id === id)?.message, body)
      })
    }

    test('attachments and nested parameters come along', async () => {
      const attachment = { uid: unique(), id: '5', type: 'photo', size: 12 }
      const id = await send(phone, bob, 'look', { attachments: [attachment], colour: 'blue', nested: { k: 'v' } })
      const { dialog_id, extension } = await tablet.heard('message', { id })
      assert.deepEqual(extension.attachments, [attachment])
      assert.equal(extension.colour, 'blue')
      assert.deepEqual(extension.nested, { k: 'v' })
      const kept = (await history(tablet, dialog_id)).find((m) => m._id === id)
      assert.equal(kept.attachments[0].uid, attachment.uid)
      assert.equal(kept.attachments[0].type, 'photo')
      assert.equal(kept.colour, 'blue')
    })

    test("the sender's other device gets a copy, the sending one none", async () => {
      const id = await send(phone, bob, 'copied')
      const copy = await laptop.heard('message', { id })
      assert.equal(copy.is_forwarded, true)
      assert.equal(copy.from, ada.id)
      assert.equal(copy.recipient_id, bob.id)
      assert.ok(copy.dialog_id)
      await settled(phone, tablet, laptop)
      assert.equal((await phone.hears('stanza', { xml: (x) => x.includes('>copied<') })).length, 0)
      assert.equal((await laptop.hears('message', { id })).length, 1)
      assert.equal((await tablet.hears('message', { id })).length, 1)
    })

    test("all of the receiver's devices get it, none of them as a copy", async () => {
      const id = await send(tablet, ada, 'to both')
      assert.equal((await phone.heard('message', { id })).is_forwarded, false)
      assert.equal((await laptop.heard('message', { id })).is_forwarded, false)
    })

    test('fifty messages arrive once each, in their order', async () => {
      const mark = unique()
      for (let i = 0; i < 50; i++) await send(phone, bob, `${mark} ${i}`)
      await settled(phone, tablet, laptop)
      const wanted = Array.from({ length: 50 }, (_, i) => `${mark} ${i}`)
      for (const device of [tablet, laptop]) {
        const got = await device.hears('message', { body: (b) => b.startsWith(mark) })
        assert.deepEqual(got.map((m) => m.body), wanted)
      }
    })

    test('a message to an unknown user comes back as an error', async () => {
      const id = await phone.sdk.chat.send(7, { type: 'chat', body: 'anybody?', extension: { save_to_history: 1 } })
      const { error } = await phone.heard('message-error', { id })
      assert.ok(error.code >= 400, JSON.stringify(error))
      assert.ok(error.info, 'a text to show')
    })

    test('typing is shown and stopped, and is in no history', async () => {
      const { dialog_id } = await tablet.heard('message', { id: await send(phone, bob, 'before typing') })
      const before = (await history(tablet, dialog_id)).length
      await phone.sdk.chat.sendIsTypingStatus(bob.id)
      await tablet.heard('typing', { on: true, from: ada.id })
      await phone.sdk.chat.sendIsStopTypingStatus(bob.id)
      await tablet.heard('typing', { on: false, from: ada.id })
      assert.equal((await history(tablet, dialog_id)).length, before)
    })

    test('a system message arrives as one, and is in no history', async () => {
      const kind = unique()
      const id = await phone.sdk.chat.sendSystemMessage(bob.id, { body: 'psst', extension: { kind } })
      const got = await tablet.heard('system', { id })
      assert.equal(got.from, ada.id)
      assert.equal(got.extension.kind, kind)
      assert.equal((await tablet.hears('message', { id })).length, 0)
    })

    test('a system message of REST arrives as well', async () => {
      const kind = unique()
      const sent = await phone.sdk.chat.message.createSystem({ recipientId: bob.id, kind })
      assert.equal(sent.recipientId, bob.id)
      const got = await tablet.heard('system', { id: sent.messageId })
      assert.equal(got.from, ada.id)
      assert.equal(got.extension.kind, kind)
    })

    test('a message of REST arrives when it is to be sent to chat', async () => {
      const { dialog_id } = await tablet.heard('message', { id: await send(phone, bob, 'before REST') })
      const quiet = await phone.sdk.chat.message.create({ chat_dialog_id: dialog_id, message: 'quiet' })
      const loud = await phone.sdk.chat.message.create({ chat_dialog_id: dialog_id, message: 'loud', send_to_chat: 1, colour: 'red' })
      const got = await tablet.heard('message', { id: loud._id })
      assert.equal(got.body, 'loud')
      assert.equal(got.from, ada.id)
      assert.equal(got.dialog_id, dialog_id)
      assert.equal(got.extension.colour, 'red')
      assert.equal((await tablet.hears('message', { id: quiet._id })).length, 0)
      const kept = (await history(tablet, dialog_id)).map((m) => m._id)
      assert.ok(kept.includes(quiet._id) && kept.includes(loud._id))
    })

    test('messages wait for who is away, and come once, in order, with their time', async () => {
      const eve = await person('eve')
      const mark = unique()
      for (let i = 0; i < 3; i++) await send(phone, eve, `${mark} ${i}`)
      await settled(phone)
      const device = await online(eve)
      const got = await device.heard('message', { body: (b) => b.startsWith(mark) }, 3)
      await settled(device)
      assert.deepEqual(got.map((m) => m.body), [0, 1, 2].map((i) => `${mark} ${i}`))
      for (const m of got) assert.ok(Math.abs(Date.parse(m.delay) / 1000 - Number(m.extension.date_sent)) <= 2, m.delay)
      const again = await online(eve)
      await settled(again)
      assert.equal((await again.hears('message')).length, 0)
    })

    test('last activity: nought for who is online, a number for who left', async () => {
      const eve = await person('eve')
      const device = await online(eve)
      assert.deepEqual(await phone.sdk.chat.getLastUserActivity(eve.id), { userId: eve.id, seconds: 0 })
      await device.hangUp()
      await phone.sdk.chat.ping()
      const { userId, seconds } = await phone.sdk.chat.getLastUserActivity(eve.id)
      assert.equal(userId, eve.id)
      assert.ok(Number.isInteger(seconds) && seconds >= 0, String(seconds))
    })

    test('who follows a user hears of coming', async () => {
      const eve = await person('eve')
      await phone.sdk.chat.subscribeToUserLastActivityStatus(eve.id)
      await settled(phone)
      await online(eve)
      await phone.heard('activity', { from: eve.id, seconds: 0 })
    })

    test('a phone may say that its app is in the background', async () => {
      await phone.sdk.chat.markInactive()
      await phone.sdk.chat.markActive()
      await phone.heard('message', { id: await send(tablet, ada, 'still there?') })
    })

    test('who is blocked is not heard, until unblocked', async () => {
      const eve = await person('eve')
      const pest = await online(eve)
      const { privacylist } = tablet.sdk.chat
      await privacylist.create({ name: 'block', items: [{ user_id: eve.id, action: 'deny' }] })
      await privacylist.setAsDefault('block')
      assert.deepEqual((await privacylist.getList('block')).items, [{ user_id: eve.id, action: 'deny' }])
      const blocked = await send(pest, bob, 'buy this')
      await settled(pest, tablet)
      assert.equal((await tablet.hears('message', { id: blocked })).length, 0)
      await tablet.heard('message', { id: await send(phone, bob, 'others are heard') })
      await privacylist.setAsDefault(null)
      await tablet.heard('message', { id: await send(pest, bob, 'sorry') })
      assert.ok((await privacylist.getNames()).names.includes('block'))
      await privacylist.delete('block')
    })
  })
}
