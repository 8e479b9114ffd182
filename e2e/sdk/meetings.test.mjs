// Meetings and whiteboards are records: the sandbox has no media server and no server
// for drawings.

import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { client, person, withoutProvider } from './devices.mjs'

withoutProvider()

describe('meetings and whiteboards', () => {
  test('a meeting is planned, found, moved and canceled', async () => {
    const [host, guest] = [await person('host'), await person('guest')]
    const [hosts, guests] = [await client(host), await client(guest)]
    const start = Math.floor(Date.now() / 1000) + 3600
    const made = await hosts.meeting.create({ name: 'weekly', start_date: start, end_date: start + 600, attendees: [{ id: guest.id }, { email: 'x@example.org' }], chat: true })
    assert.equal(made.host_id, host.id)
    assert.deepEqual(made.attendees, [{ id: guest.id }, { email: 'x@example.org' }])
    const { items: [dialog] } = await guests.chat.dialog.list({ _id: made.chat_dialog_id })
    assert.equal(dialog.name, 'weekly')

    assert.deepEqual(await guests.meeting.get(), [made])
    assert.deepEqual(await guests.meeting.get({ start_date: { gt: start } }), [])
    const moved = await hosts.meeting.update(made._id, { start_date: start + 60, scheduled: true })
    assert.deepEqual([moved.start_date, moved.end_date, moved.scheduled], [start + 60, start + 600, true])
    await assert.rejects(guests.meeting.update(made._id, { name: 'mine' }), { code: 403 })
    assert.deepEqual(await hosts.meeting.getRecordings(made._id), [])
    await hosts.meeting.delete(made._id)
    assert.deepEqual(await guests.meeting.get(), [])
  })

  test('the defaults of the SDK are a meeting', async () => {
    const { meeting } = await client(await person('host'))
    const made = await meeting.create()
    assert.deepEqual([made.attendees, made.chat_dialog_id, made.record], [[], null, false])
  })

  test('a dialog has whiteboards, which their creators change', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const [adas, bobs] = [await client(ada), await client(bob)]
    const { _id: dialog } = await adas.chat.dialog.create({ type: 3, occupants_ids: [bob.id] })
    const made = await adas.whiteboard.create({ name: 'plan', chat_dialog_id: dialog })
    assert.deepEqual([made.user_id, made.chat_dialog_id], [ada.id, dialog])
    assert.deepEqual(await bobs.whiteboard.get(dialog), [made])
    await assert.rejects(bobs.whiteboard.update(made._id, { name: 'mine' }), { code: 403 })
    assert.equal((await adas.whiteboard.update(made._id, { name: 'new plan' })).name, 'new plan')
    await adas.whiteboard.delete(made._id)
    assert.deepEqual(await bobs.whiteboard.get({ chat_dialog_id: dialog }), [])
  })
})
