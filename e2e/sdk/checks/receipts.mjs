// What becomes of a message: delivered, read, edited, deleted, liked. Ada has a
// phone and a laptop, bob a tablet.

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { person, settled, unique } from '../devices.mjs'

export function receipts({ where, online, hangUp }) {
  describe(`receipts and changes, ${where}`, () => {
    let ada, bob, phone, laptop, tablet

    before(async () => {
      ;[ada, bob] = [await person('ada'), await person('bob')]
      ;[phone, laptop, tablet] = [await online(ada), await online(ada), await online(bob)]
    })
    after(hangUp)

    /** Sends from the phone to bob, and returns what arrived. */
    const sent = async (body = `text ${unique()}`) => {
      const message = { type: 'chat', body, extension: { save_to_history: 1 } }
      return tablet.heard('message', { id: await phone.sdk.chat.send(bob.id, message) })
    }
    const kept = async (device, { id, dialog_id }) =>
      (await device.sdk.chat.message.list({ chat_dialog_id: dialog_id, _id: id, mark_as_read: 0 })).items[0]

    const readBy = (device, { id, dialog_id }, sender) =>
      device.sdk.chat.sendReadStatus({ messageId: id, userId: sender.id, dialogId: dialog_id })

    test('the sender hears of the delivery, on each device', async () => {
      const message = await sent()
      for (const device of [phone, laptop]) {
        await device.heard('delivered', { id: message.id, dialog: message.dialog_id, from: bob.id })
      }
    })

    test('the history knows of the delivery, and of no reading', async () => {
      const message = await sent()
      await phone.heard('delivered', { id: message.id })
      const { delivered_ids, read_ids } = await kept(phone, message)
      assert.deepEqual(delivered_ids.toSorted(), [ada.id, bob.id].toSorted())
      assert.deepEqual(read_ids, [ada.id])
    })

    test('the sender hears of the reading, and the history has it', async () => {
      const message = await sent()
      await readBy(tablet, message, ada)
      await phone.heard('read', { id: message.id, dialog: message.dialog_id, from: bob.id })
      assert.deepEqual((await kept(phone, message)).read_ids.toSorted(), [ada.id, bob.id].toSorted())
    })

    test('a receipt moves the time of the last change', async () => {
      const message = await sent()
      const { updated_at: before } = await kept(phone, message)
      await readBy(tablet, message, ada)
      await phone.heard('read', { id: message.id })
      const { updated_at: later } = await kept(phone, message)
      assert.ok(Date.parse(later) >= Date.parse(before), `${before} ${later}`)
    })

    test("the dialog says how far its last message got: that is the sender's to see", async () => {
      const message = await sent()
      const status = async (device) =>
        (await device.sdk.chat.dialog.list({ _id: message.dialog_id })).items[0].last_message_status
      await phone.heard('delivered', { id: message.id })
      assert.equal(await status(phone), 'delivered')
      await readBy(tablet, message, ada)
      await phone.heard('read', { id: message.id })
      assert.equal(await status(phone), 'read')
      assert.equal(await status(tablet), null)
    })

    test('what is read is no longer counted as unread', async () => {
      const message = await sent()
      const unread = async () =>
        (await tablet.sdk.chat.message.unreadCount({ chat_dialog_ids: [message.dialog_id] }))[message.dialog_id]
      const before = await unread()
      assert.ok(before >= 1)
      await readBy(tablet, message, ada)
      await phone.heard('read', { id: message.id })
      assert.equal(await unread(), before - 1)
    })

    test('receipts of a group go to the sender alone', async () => {
      const eve = await person('eve')
      const third = await online(eve)
      const { _id } = await phone.sdk.chat.dialog.create({ type: 2, name: 'three', occupants_ids: [bob.id, eve.id] })
      const id = await phone.sdk.chat.send(_id, { type: 'groupchat', body: 'hi all', extension: { save_to_history: 1 } })
      for (const from of [bob.id, eve.id]) await phone.heard('delivered', { id, dialog: _id, from })
      await readBy(third, { id, dialog_id: _id }, ada)
      await phone.heard('read', { id, dialog: _id, from: eve.id })
      await settled(phone, third, tablet)
      assert.equal((await tablet.hears('read', { id })).length, 0)
      const { delivered_ids, read_ids } = await kept(phone, { id, dialog_id: _id })
      assert.deepEqual(delivered_ids.toSorted(), [ada.id, bob.id, eve.id].toSorted())
      assert.deepEqual(read_ids.toSorted(), [ada.id, eve.id].toSorted())
    })

    test('an edit arrives, and the history has the new text', async () => {
      const message = await sent('teh text')
      const edit = { to: bob.id, dialogId: message.dialog_id, originMessageId: message.id, body: 'the text', last: true }
      await phone.sdk.chat.editMessage(edit)
      const got = await tablet.heard('edit', { id: message.id })
      assert.equal(got.body, 'the text')
      assert.equal(got.last, true)
      assert.equal(got.dialog, message.dialog_id)
      assert.equal(got.from, ada.id)
      assert.equal((await kept(tablet, message)).message, 'the text')
      const { items } = await tablet.sdk.chat.dialog.list({ _id: message.dialog_id })
      assert.equal(items[0].last_message, 'the text')
    })

    test("the sender's other device hears of the edit", async () => {
      const message = await sent('frist')
      const edit = { to: bob.id, dialogId: message.dialog_id, originMessageId: message.id, body: 'first', last: true }
      await phone.sdk.chat.editMessage(edit)
      assert.equal((await laptop.heard('edit', { id: message.id })).body, 'first')
    })

    test("a user cannot edit another user's message", async () => {
      const message = await sent('mine')
      const edit = { to: ada.id, dialogId: message.dialog_id, originMessageId: message.id, body: 'yours', last: true }
      await tablet.sdk.chat.editMessage(edit)
      await settled(tablet, phone)
      assert.equal((await kept(phone, message)).message, 'mine')
      assert.equal((await phone.hears('edit', { id: message.id })).length, 0)
    })

    test('a deletion arrives, and the history forgets', async () => {
      const message = await sent()
      await phone.sdk.chat.deleteMessage({ to: bob.id, dialogId: message.dialog_id, messageId: message.id })
      const got = await tablet.heard('delete', { id: message.id })
      assert.equal(got.dialog, message.dialog_id)
      assert.equal(got.from, ada.id)
      for (const device of [phone, tablet]) assert.equal(await kept(device, message), undefined)
    })

    test('a forced deletion of REST arrives as one', async () => {
      const message = await sent()
      await phone.sdk.chat.message.delete([message.id], { force: 1 })
      assert.equal((await tablet.heard('delete', { id: message.id })).dialog, message.dialog_id)
    })

    test('what is deleted for oneself stays with the other', async () => {
      const message = await sent()
      await tablet.sdk.chat.message.delete(message.id)
      await settled(tablet, phone)
      assert.equal(await kept(tablet, message), undefined)
      assert.equal((await kept(phone, message))._id, message.id)
      assert.equal((await phone.hears('delete', { id: message.id })).length, 0)
    })

    test('reading by REST is in the history', async () => {
      const message = await sent()
      await tablet.sdk.chat.message.update(message.id, { read: 1, chat_dialog_id: message.dialog_id })
      assert.ok((await kept(phone, message)).read_ids.includes(bob.id))
    })

    test('a reaction arrives, is listed, and is taken back', async () => {
      const message = await sent()
      await tablet.sdk.chat.message.addReaction(message.id, '👍')
      const got = await phone.heard('reaction', { id: message.id })
      assert.equal(got.add, '👍')
      assert.equal(got.from, bob.id)
      assert.equal(got.dialog, message.dialog_id)
      assert.deepEqual(await phone.sdk.chat.message.listReactions(message.id), { '👍': [bob.id] })
      await tablet.sdk.chat.message.removeReaction(message.id, '👍')
      await phone.heard('reaction', { id: message.id, remove: '👍' })
      assert.deepEqual(await phone.sdk.chat.message.listReactions(message.id), {})
    })
  })
}
