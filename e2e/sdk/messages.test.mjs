// Messages over REST: ada writes, bob reads, eve is elsewhere.

import { before, beforeEach, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { client, person, unique, withoutProvider } from './devices.mjs'

withoutProvider()

describe('messages over REST', () => {
  let ada, bob, adas, bobs, eves
  let dialog // of ada and bob, a new group for each test

  before(async () => {
    ;[ada, bob] = [await person('ada'), await person('bob')]
    ;[adas, bobs, eves] = (await Promise.all([ada, bob, await person('eve')].map((p) => client(p)))).map((c) => c.chat)
  })
  beforeEach(async () => {
    dialog = (await adas.dialog.create({ type: 2, name: `group ${unique()}`, occupants_ids: [bob.id] }))._id
  })

  const write = (message = 'hello', fields = {}) => adas.message.create({ chat_dialog_id: dialog, message, ...fields })
  const list = async (chat, fields = {}) =>
    (await chat.message.list({ chat_dialog_id: dialog, mark_as_read: 0, ...fields })).items
  const unread = async (chat) => (await chat.message.unreadCount({ chat_dialog_ids: [dialog] }))[dialog]
  const texts = (items) => items.map((m) => m.message)

  test('what is written can be read by both', async () => {
    const made = await write('hello', { date_sent: undefined })
    assert.match(made._id, /^[0-9a-f]{24}$/)
    for (const [read] of [await list(adas), await list(bobs)]) {
      assert.equal(read._id, made._id)
      assert.equal(read.message, 'hello')
      assert.equal(read.chat_dialog_id, dialog)
      assert.deepEqual([read.sender_id, read.recipient_id], [ada.id, 0])
      assert.ok(Number.isInteger(read.date_sent))
      assert.deepEqual([read.delivered_ids, read.read_ids], [[ada.id], [ada.id]])
      assert.deepEqual(read.attachments, [])
      assert.match(read.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    }
  })

  test('a receiver is enough: the private dialog is made', async () => {
    const eve = await person('eve')
    const made = await adas.message.create({ recipient_id: eve.id, message: 'hi' })
    assert.equal(made.recipient_id, eve.id)
    const { items } = await (await client(eve)).chat.dialog.list({ _id: made.chat_dialog_id })
    assert.equal(items[0].type, 3)
    assert.equal(items[0].last_message, 'hi')
  })

  test('attachments and parameters of the app are kept', async () => {
    const attachments = [{ type: 'photo', uid: unique(), name: 'a.jpg' }]
    await write('look', { attachments, colour: 'blue' })
    const [read] = await list(bobs)
    assert.equal(read.attachments[0].uid, attachments[0].uid)
    assert.equal(read.attachments[0].type, 'photo')
    assert.equal(read.colour, 'blue')
    assert.deepEqual(texts(await list(bobs, { 'attachments.type': 'photo' })), ['look'])
  })

  test('neither dialog nor receiver is refused', async () => {
    await assert.rejects(adas.message.create({ message: 'to whom?' }), { code: 422 })
  })

  test('an outsider neither writes nor reads', async () => {
    await write()
    const refused = (e) => [403, 404].includes(e.code)
    await assert.rejects(eves.message.create({ chat_dialog_id: dialog, message: 'me too' }), refused)
    await assert.rejects(eves.message.list({ chat_dialog_id: dialog }), refused)
    assert.deepEqual(texts(await list(adas)), ['hello'])
  })

  test('the list is in the order of sending; it is sorted, paged and filtered on demand', async () => {
    for (const text of ['one', 'two', 'three']) await write(text)
    await bobs.message.create({ chat_dialog_id: dialog, message: 'four' })
    assert.deepEqual(texts(await list(adas)), ['one', 'two', 'three', 'four'])
    assert.deepEqual(texts(await list(adas, { limit: 2, skip: 1 })), ['two', 'three'])
    assert.equal((await list(adas, { sort_desc: 'date_sent', limit: 4 })).length, 4)
    assert.deepEqual(texts(await list(adas, { sender_id: bob.id })), ['four'])
    assert.deepEqual(texts(await list(adas, { message: { ctn: 'hre' } })), ['three'])
    const [{ date_sent }] = await list(adas)
    assert.equal((await list(adas, { date_sent: { gte: date_sent } })).length, 4)
    assert.equal((await list(adas, { date_sent: { lt: date_sent } })).length, 0)
  })

  test('one message is found by its id', async () => {
    await write('one')
    const { _id } = await write('two')
    assert.deepEqual(texts(await list(bobs, { _id })), ['two'])
  })

  test('reading the list is reading the messages, unless it is not to be', async () => {
    await write()
    await write()
    assert.equal(await unread(bobs), 2)
    await list(bobs)
    assert.equal(await unread(bobs), 2)
    await bobs.message.list({ chat_dialog_id: dialog })
    assert.equal(await unread(bobs), 0)
    assert.ok((await list(adas)).every((m) => m.read_ids.includes(bob.id)))
  })

  test('unread messages are counted by dialog and in all, and never for who wrote them', async () => {
    const before = (await bobs.message.unreadCount()).total
    await write()
    await write()
    assert.equal((await bobs.message.unreadCount()).total, before + 2)
    const counts = await bobs.message.unreadCount({ chat_dialog_ids: [dialog] })
    assert.equal(counts[dialog], 2)
    assert.equal(counts.total, 2)
    assert.equal(await unread(adas), 0)
    assert.equal((await bobs.dialog.list({ _id: dialog })).items[0].unread_messages_count, 2)
  })

  test('one message is marked read, another delivered', async () => {
    const [first, second] = [await write('one'), await write('two')]
    await bobs.message.update(first._id, { read: 1, chat_dialog_id: dialog })
    await bobs.message.update(second._id, { delivered: 1, chat_dialog_id: dialog })
    const [one, two] = await list(adas)
    assert.deepEqual([one.read_ids.includes(bob.id), one.delivered_ids.includes(bob.id)], [true, true])
    assert.deepEqual([two.read_ids.includes(bob.id), two.delivered_ids.includes(bob.id)], [false, true])
    assert.equal(await unread(bobs), 1)
  })

  test('all messages of a dialog are marked read at once', async () => {
    await write()
    await write()
    await bobs.message.update('', { read: 1, chat_dialog_id: dialog })
    assert.equal(await unread(bobs), 0)
  })

  test('only the writer changes the text', async () => {
    const { _id } = await write('teh text')
    await adas.message.update(_id, { message: 'the text', chat_dialog_id: dialog })
    assert.deepEqual(texts(await list(bobs)), ['the text'])
    await assert.rejects(bobs.message.update(_id, { message: 'mine', chat_dialog_id: dialog }), { code: 403 })
    assert.deepEqual(texts(await list(bobs)), ['the text'])
  })

  test('the dialog shows its last message', async () => {
    const { _id, date_sent } = await write('the last')
    const [{ last_message, last_message_id, last_message_user_id, last_message_date_sent }] = (
      await bobs.dialog.list({ _id: dialog })
    ).items
    assert.deepEqual([last_message, last_message_id, last_message_user_id], ['the last', _id, ada.id])
    assert.equal(last_message_date_sent, date_sent)
  })

  test('a deletion is for oneself', async () => {
    const { _id } = await write()
    await bobs.message.delete(_id)
    assert.deepEqual(await list(bobs), [])
    assert.deepEqual(texts(await list(adas)), ['hello'])
  })

  test('a forced one is for all, and is reported, as text', async () => {
    const { _id } = await write()
    const nowhere = '0123456789abcdef01234567'
    const report = await adas.message.delete([_id, nowhere], { force: 1 })
    assert.equal(typeof report, 'string')
    const { SuccessfullyDeleted, NotFound } = JSON.parse(report)
    assert.deepEqual([SuccessfullyDeleted.ids, NotFound.ids], [[_id], [nowhere]])
    assert.deepEqual(await list(bobs), [])
  })

  test("only the admins of a dialog delete another user's message for all", async () => {
    const { _id } = await write()
    const { WrongPermissions } = JSON.parse(await bobs.message.delete([_id], { force: 1 }))
    assert.deepEqual(WrongPermissions.ids, [_id])
    const his = await bobs.message.create({ chat_dialog_id: dialog, message: 'rude' })
    const { SuccessfullyDeleted } = JSON.parse(await adas.message.delete([his._id], { force: 1 }))
    assert.deepEqual(SuccessfullyDeleted.ids, [his._id])
    assert.deepEqual(texts(await list(bobs)), ['hello'])
  })

  test('history is cleared for oneself', async () => {
    await write()
    await bobs.dialog.clearHistory(dialog)
    assert.deepEqual(await list(bobs), [])
    assert.deepEqual(texts(await list(adas)), ['hello'])
    assert.equal((await bobs.dialog.list({ _id: dialog })).total_entries, 1)
  })

  test('reactions are listed by kind, one of each for everyone, and replaced', async () => {
    const { _id } = await write()
    await adas.message.addReaction(_id, '👍')
    await bobs.message.addReaction(_id, '👍')
    await bobs.message.addReaction(_id, '👍')
    const reactions = await bobs.message.listReactions(_id)
    assert.deepEqual(Object.keys(reactions), ['👍'])
    assert.deepEqual(reactions['👍'].toSorted(), [ada.id, bob.id].toSorted())
    await bobs.message.updateReaction(_id, '🎉', '👍')
    assert.deepEqual(await adas.message.listReactions(_id), { '👍': [ada.id], '🎉': [bob.id] })
    await assert.rejects(eves.message.addReaction(_id, '👀'), (e) => [403, 404].includes(e.code))
  })

  test("search finds messages and names of one's own dialogs", async () => {
    const word = `needle${unique()}`
    const { _id } = await write(`a ${word} in the hay`)
    const named = await adas.dialog.create({ type: 2, name: `about ${word}`, occupants_ids: [bob.id] })
    const { results } = await bobs.search({ search_text: word })
    assert.deepEqual(results.messages.map((m) => m._id), [_id])
    assert.deepEqual(results.dialogs.map((d) => d._id), [named._id])
    assert.ok(Array.isArray(results.users)) // what users are found by is not documented
    assert.deepEqual((await eves.search({ search_text: word })).results.messages, [])
    assert.deepEqual((await bobs.search({ search_text: word, chat_dialog_ids: [dialog] })).results.messages.length, 1)
    await assert.rejects(bobs.search({ search_text: 'four' }), { code: 422 })
  })
})
