// Files: created, uploaded, completed, downloaded and deleted, as the SDK does it.

import { before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { client, person, unique, withoutProvider } from './devices.mjs'

withoutProvider()

describe('storage', () => {
  let ada, bob // SDKs

  before(async () => {
    ;[ada, bob] = [await client(await person('ada')), await client(await person('bob'))]
  })

  const upload = (text, fields = {}) => {
    const file = Buffer.from(text)
    return ada.storage.createAndUpload({ name: 'note.txt', file, size: file.length, type: 'text/plain', public: true, ...fields })
  }

  test('a file is uploaded, and is what it was', async () => {
    const text = `a note ${unique()} äöü 👍`
    const blob = await upload(text)
    assert.ok(Number.isInteger(blob.id))
    assert.ok(blob.uid)
    const download = await fetch(ada.storage.publicUrl(blob.uid))
    assert.equal(download.status, 200)
    assert.equal(await download.text(), text)
    assert.match(download.headers.get('Content-Type'), /^text\/plain/)
  })

  test('a file knows its name, type and size', async () => {
    const { id } = await upload('12345')
    const { blob } = await ada.storage.getInfo(id)
    assert.equal(blob.id, id)
    assert.deepEqual([blob.name, blob.content_type, blob.size], ['note.txt', 'text/plain', 5])
  })

  test('a private file is for who has a session', async () => {
    const { uid } = await upload('secret', { public: false })
    assert.equal((await fetch(ada.storage.publicUrl(uid))).status, 401)
    assert.equal(await (await fetch(ada.storage.privateUrl(uid))).text(), 'secret')
  })

  test('a deleted file is gone', async () => {
    const { id, uid } = await upload('short-lived')
    await ada.storage.delete(id)
    assert.notEqual((await fetch(ada.storage.publicUrl(uid))).status, 200)
    assert.equal((await fetch(ada.storage.privateUrl(uid))).status, 404)
    await assert.rejects(ada.storage.getInfo(id), { code: 404 })
  })

  test("a user cannot delete another user's file", async () => {
    const { id, uid } = await upload('mine')
    await assert.rejects(bob.storage.delete(id), (e) => [403, 404].includes(e.code))
    assert.equal(await (await fetch(ada.storage.publicUrl(uid))).text(), 'mine')
  })

  test('a file goes along with a message', async () => {
    const blob = await upload('attached')
    const made = await ada.chat.message.create({
      recipient_id: bob.service.getCurrentUserId(),
      message: 'see this',
      attachments: [{ uid: blob.uid, type: 'file', name: blob.name }],
    })
    const { items } = await bob.chat.message.list({ chat_dialog_id: made.chat_dialog_id })
    const { uid } = items[0].attachments[0]
    assert.equal(await (await fetch(bob.storage.privateUrl(uid))).text(), 'attached')
  })
})
