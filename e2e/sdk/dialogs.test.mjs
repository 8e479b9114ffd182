// Dialogs over REST: ada makes them, bob is in them, eve is not.

import { before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { client, person, roomOf, unique, withoutProvider } from './devices.mjs'

withoutProvider()

const forbidden = (e) => e.code === 403
const notFound = { code: 404, info: { errors: ["The resource wasn't found"] } }
const sorted = (ids) => ids.toSorted((a, b) => a - b)

describe('dialogs', () => {
  let ada, bob, eve // people
  let adas, bobs, eves // their SDKs' dialogs
  let me // ada's chat

  before(async () => {
    ;[ada, bob, eve] = [await person('ada'), await person('bob'), await person('eve')]
    const chats = (await Promise.all([ada, bob, eve].map((p) => client(p)))).map((c) => c.chat)
    me = chats[0]
    ;[adas, bobs, eves] = chats.map((chat) => chat.dialog)
  })

  const group = (fields = {}) => adas.create({ type: 2, name: `group ${unique()}`, occupants_ids: [bob.id], ...fields })
  const open = (fields = {}) => adas.create({ type: 4, name: `public ${unique()}`, ...fields })
  const seenBy = async (dialogs, { _id }) => (await dialogs.list({ _id })).items[0]

  describe('making them', () => {
    test('a private dialog is there for both, and has no room', async () => {
      const made = await adas.create({ type: 3, occupants_ids: [bob.id] })
      assert.match(made._id, /^[0-9a-f]{24}$/)
      assert.equal(made.type, 3)
      assert.equal(made.user_id, ada.id)
      assert.deepEqual(sorted(made.occupants_ids), sorted([ada.id, bob.id]))
      assert.equal(made.xmpp_room_jid, null)
      assert.equal((await seenBy(bobs, made))._id, made._id)
    })

    test('two people have one private dialog, whichever of them begins', async () => {
      const made = await adas.create({ type: 3, occupants_ids: [bob.id] })
      assert.equal((await adas.create({ type: 3, occupants_ids: [bob.id] }))._id, made._id)
      assert.equal((await bobs.create({ type: 3, occupants_ids: [ada.id] }))._id, made._id)
    })

    test('a private dialog without an occupant is refused', async () => {
      await assert.rejects(adas.create({ type: 3, occupants_ids: [7] }), {
        code: 422,
        info: { errors: { base: ['occupants_ids field must contain an opponent user id'] } },
      })
    })

    test('a group has its maker among the occupants, and a room', async () => {
      const made = await group({ description: 'about', photo: 'photo-uid', admins_ids: [bob.id] })
      assert.equal(made.type, 2)
      assert.equal(made.user_id, ada.id)
      assert.deepEqual(sorted(made.occupants_ids), sorted([ada.id, bob.id]))
      assert.deepEqual(made.admins_ids, [bob.id])
      assert.equal(made.xmpp_room_jid, roomOf(made._id))
      assert.deepEqual([made.description, made.photo], ['about', 'photo-uid'])
      assert.deepEqual([made.last_message, made.unread_messages_count, made.pinned_messages_ids], [null, 0, []])
      assert.match(made.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    })

    test('ids may be given as text, as other SDKs do', async () => {
      const made = await adas.create({ type: 2, name: 'text', occupants_ids: `${bob.id}, ${eve.id}` })
      assert.deepEqual(sorted(made.occupants_ids), sorted([ada.id, bob.id, eve.id]))
    })

    for (const type of [2, 4]) {
      test(`a dialog of type ${type} needs a name`, async () => {
        await assert.rejects(adas.create({ type, occupants_ids: [bob.id] }), { code: 422 })
      })
    }

    test('a type that is none is refused', async () => {
      await assert.rejects(adas.create({ type: 9, name: 'x', occupants_ids: [bob.id] }), { code: 422 })
    })
  })

  describe('finding them', () => {
    test('each sees the dialogs of its own', async () => {
      const made = await group()
      assert.equal((await seenBy(adas, made)).name, made.name)
      assert.equal((await seenBy(bobs, made)).name, made.name)
      assert.equal(await seenBy(eves, made), undefined)
    })

    test('by type, sorted, in pages', async () => {
      const [dan, mate] = [await person('dan'), await person('mate')]
      const { chat } = await client(dan)
      for (const name of ['b', 'c', 'a']) await chat.dialog.create({ type: 2, name, occupants_ids: [mate.id] })
      await chat.dialog.create({ type: 3, occupants_ids: [mate.id] })
      const groups = await chat.dialog.list({ type: 2, sort_asc: 'name' })
      assert.deepEqual(groups.items.map((d) => d.name), ['a', 'b', 'c'])
      const page = await chat.dialog.list({ type: { in: [2] }, sort_desc: 'name', limit: 2, skip: 1 })
      assert.deepEqual(page.items.map((d) => d.name), ['b', 'a'])
      assert.deepEqual([page.total_entries, page.skip, page.limit], [3, 1, 2])
      assert.equal((await chat.dialog.list({ type: { in: [2, 3] } })).total_entries, 4)
      assert.equal((await chat.dialog.list({ type: { nin: [2] } })).total_entries, 1)
      assert.equal((await chat.dialog.list({ type: { ne: 3 } })).total_entries, 3)
    })

    test('by a part of the name', async () => {
      const mark = unique()
      const made = await group({ name: `before ${mark} after` })
      assert.deepEqual((await adas.list({ name: { ctn: mark } })).items.map((d) => d._id), [made._id])
    })

    test('by the time of the last change', async () => {
      const made = await group()
      const at = Date.parse(made.updated_at) / 1000
      const since = async (time) => (await adas.list({ 'updated_at[gt]': time, limit: 100 })).items.map((d) => d._id)
      assert.ok((await since(at - 10)).includes(made._id))
      assert.ok(!(await since(at + 10)).includes(made._id))
    })

    test('by an extension', async () => {
      const location = unique()
      const made = await group({ extensions: { location, floor: 2 } })
      assert.deepEqual(made.extensions, { location, floor: '2' }) // all values are texts
      assert.deepEqual((await adas.list({ extensions: { location } })).items.map((d) => d._id), [made._id])
    })
  })

  describe('changing them', () => {
    test('any occupant renames a group, and all see it', async () => {
      const made = await group()
      const renamed = await bobs.update(made._id, { name: 'renamed', description: 'new' })
      assert.deepEqual([renamed.name, renamed.description], ['renamed', 'new'])
      assert.equal((await seenBy(adas, made)).name, 'renamed')
    })

    test('an outsider changes nothing', async () => {
      const made = await group()
      await assert.rejects(eves.update(made._id, { name: 'mine' }), (e) => [403, 404].includes(e.code))
      assert.equal((await seenBy(adas, made)).name, made.name)
    })

    test('any occupant adds people', async () => {
      const made = await group()
      const grown = await bobs.update(made._id, { push_all: { occupants_ids: [eve.id] } })
      assert.deepEqual(sorted(grown.occupants_ids), sorted([ada.id, bob.id, eve.id]))
      assert.equal((await seenBy(eves, made))._id, made._id)
    })

    test('only who is in charge removes people', async () => {
      const made = await group({ occupants_ids: [bob.id, eve.id] })
      await assert.rejects(bobs.update(made._id, { pull_all: { occupants_ids: [eve.id] } }), forbidden)
      const { occupants_ids } = await adas.update(made._id, { pull_all: { occupants_ids: [eve.id] } })
      assert.deepEqual(sorted(occupants_ids), sorted([ada.id, bob.id]))
      assert.equal(await seenBy(eves, made), undefined)
    })

    test('the owner names admins, who may then remove people', async () => {
      const made = await group({ occupants_ids: [bob.id, eve.id] })
      await assert.rejects(bobs.addAdmins(made._id, [bob.id]), forbidden)
      assert.deepEqual((await adas.addAdmins(made._id, [bob.id])).admins_ids, [bob.id])
      await bobs.update(made._id, { pull_all: { occupants_ids: [eve.id] } })
      assert.deepEqual((await adas.removeAdmins(made._id, [bob.id])).admins_ids, [])
      await assert.rejects(bobs.update(made._id, { pull_all: { occupants_ids: [ada.id] } }), forbidden)
    })

    test('messages are pinned by who is in charge', async () => {
      const made = await group()
      const write = (message) => me.message.create({ chat_dialog_id: made._id, message })
      const [{ _id: a }, { _id: b }] = [await write('first'), await write('second')]
      await assert.rejects(bobs.update(made._id, { push_all: { pinned_messages_ids: [a] } }), forbidden)
      await adas.update(made._id, { push_all: { pinned_messages_ids: [a, b] } })
      assert.deepEqual((await seenBy(bobs, made)).pinned_messages_ids, [a, b])
      await adas.update(made._id, { pull_all: { pinned_messages_ids: [a] } })
      assert.deepEqual((await seenBy(bobs, made)).pinned_messages_ids, [b])
    })

    test('notifications are switched for oneself', async () => {
      const made = await group()
      assert.deepEqual(await adas.updateNotificationsSettings(made._id, false), { notifications: { enabled: 0 } })
      assert.deepEqual(await adas.getNotificationsSettings(made._id), { notifications: { enabled: 0 } })
      assert.deepEqual(await bobs.getNotificationsSettings(made._id), { notifications: { enabled: 1 } })
    })

    test('a dialog that is not there', async () => {
      const nowhere = '0123456789abcdef01234567'
      await assert.rejects(adas.update(nowhere, { name: 'x' }), notFound)
      await assert.rejects(adas.delete(nowhere), notFound)
      assert.equal((await adas.list({ _id: nowhere })).total_entries, 0)
    })
  })

  describe('public ones', () => {
    test('a user who subscribes is an occupant, and is counted rather than listed', async () => {
      const made = await open()
      const joined = await eves.subscribe(made._id)
      assert.equal(joined.occupants_count, 2)
      assert.deepEqual(joined.occupants_ids, [])
      const { items } = await adas.getPublicOccupants(made._id, { limit: 10, skip: 0 })
      assert.deepEqual(sorted(items.map((u) => u.id)), sorted([ada.id, eve.id]))
      await eves.unsubscribe(made._id)
      assert.equal((await seenBy(adas, made)).occupants_count, 1)
      assert.equal(await seenBy(eves, made), undefined)
    })

    test('only who is in charge renames them', async () => {
      const made = await open()
      await eves.subscribe(made._id)
      await assert.rejects(eves.update(made._id, { name: 'mine' }), forbidden)
      assert.equal((await adas.update(made._id, { name: 'ours' })).name, 'ours')
    })

    test('subscribing to a group is refused', async () => {
      const made = await group()
      await assert.rejects(eves.subscribe(made._id), (e) => [403, 404, 422].includes(e.code))
    })
  })

  describe('leaving them', () => {
    test('a deletion is for oneself', async () => {
      const made = await group()
      await bobs.delete(made._id)
      assert.equal(await seenBy(bobs, made), undefined)
      assert.deepEqual((await seenBy(adas, made)).occupants_ids, [ada.id])
    })

    test('a forced one is for all, and is for the owner', async () => {
      const made = await group()
      await assert.rejects(bobs.delete(made._id, { force: 1 }), forbidden)
      await adas.delete(made._id, { force: 1 })
      for (const dialogs of [adas, bobs]) assert.equal(await seenBy(dialogs, made), undefined)
    })

    test('several at once are reported one by one', async () => {
      const [mine, other] = [await group(), await group()]
      const nowhere = '0123456789abcdef01234567'
      const report = await bobs.delete([mine._id, nowhere, other._id], { force: 1 })
      assert.deepEqual(report.NotFound.ids, [nowhere])
      assert.deepEqual(report.WrongPermissions.ids.toSorted(), [mine._id, other._id].toSorted())
      assert.deepEqual(report.SuccessfullyDeleted.ids, [])
      const done = await adas.delete([mine._id, other._id], { force: 1 })
      assert.deepEqual(done.SuccessfullyDeleted.ids.toSorted(), [mine._id, other._id].toSorted())
    })
  })
})
