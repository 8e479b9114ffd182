// Push subscriptions, events and the address book. The sandbox sends no push: its outbox
// has the messages.

import { after, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { control } from '../cubegate.mjs'
import { client, hangUp, online, person, settled, unique, withoutProvider } from './devices.mjs'

withoutProvider()

const outbox = async () => JSON.stringify(await control('GET', 'outbox'))

describe('push', () => {
  after(hangUp)

  const android = () => ({
    notification_channel: 'gcm',
    device: { platform: 'android', udid: unique() },
    push_token: { environment: 'development', client_identification_sequence: `token-${unique()}` },
  })

  test('a device subscribes, and is listed', async () => {
    const { pushnotifications } = await client(await person('ada'))
    const wanted = android()
    const [{ subscription }] = await pushnotifications.subscriptions.create(wanted)
    assert.ok(Number.isInteger(subscription.id))
    assert.equal(subscription.notification_channel.name, 'gcm')
    assert.equal(subscription.device.udid, wanted.device.udid)
    assert.equal(subscription.device.platform.name, 'android')
    const list = await pushnotifications.subscriptions.list()
    assert.deepEqual(list.map((s) => s.subscription.id), [subscription.id])
  })

  test('a device that subscribes again has one subscription', async () => {
    const { pushnotifications } = await client(await person('ada'))
    const wanted = android()
    await pushnotifications.subscriptions.create(wanted)
    await pushnotifications.subscriptions.create(wanted)
    assert.equal((await pushnotifications.subscriptions.list()).length, 1)
  })

  // https://developers.connectycube.com/js/push-notifications has the plural, and no environment of events.
  test('a browser subscribes, and is sent an event, as the documentation writes it', async () => {
    const bob = await person('bob')
    const [{ pushnotifications }, bobs] = [await client(await person('ada')), await client(bob)]
    const [{ subscription }] = await bobs.pushnotifications.subscriptions.create({
      notification_channels: 'web',
      device: { platform: 'web', udid: unique() },
      push_token: { environment: 'development', web_endpoint: 'https://push.example.org/1', web_auth: 'a', web_p256dh: 'p' },
    })
    assert.equal(subscription.notification_channel.name, 'web')
    const text = `hello ${unique()}`
    const message = pushnotifications.base64Encode(JSON.stringify({ message: text }))
    await pushnotifications.events.create({ notification_type: 'push', user: { ids: [bob.id, 12] }, message })
    const sent = (await control('GET', 'outbox')).outbox.find((push) => push.text.includes(text))
    assert.deepEqual([sent.users, sent.devices], [[bob.id], 1])
  })

  test('a subscription is ended, by its owner', async () => {
    const [ada, bob] = [await client(await person('ada')), await client(await person('bob'))]
    const [{ subscription }] = await ada.pushnotifications.subscriptions.create(android())
    await assert.rejects(bob.pushnotifications.subscriptions.delete(subscription.id), { code: 404 })
    await ada.pushnotifications.subscriptions.delete(subscription.id)
    assert.deepEqual(await ada.pushnotifications.subscriptions.list(), [])
  })

  for (const [what, change] of [
    ['a channel', { notification_channel: 'pigeon' }],
    ['a platform', { device: { platform: 'typewriter', udid: 'x' } }],
  ]) {
    test(`${what} that is none is refused`, async () => {
      const { pushnotifications } = await client(await person('ada'))
      await assert.rejects(pushnotifications.subscriptions.create({ ...android(), ...change }), { code: 422 })
    })
  }

  test('an event is accepted, and is in the outbox with those it is for', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const { pushnotifications } = await client(ada)
    const text = `ring ${unique()}`
    const message = pushnotifications.base64Encode(JSON.stringify({ message: text }))
    const [{ event }] = await pushnotifications.events.create({
      notification_type: 'push',
      environment: 'development',
      user: { ids: [bob.id] },
      message,
    })
    assert.ok(Number.isInteger(event.id))
    assert.equal(event.user_id, ada.id)
    assert.equal(event.event_type, 'one_shot')
    const kept = await outbox()
    assert.ok(kept.includes(text) || kept.includes(message), kept.slice(-2000))
    assert.ok(kept.includes(String(bob.id)))
  })

  test('an event without a recipient is refused', async () => {
    const { pushnotifications } = await client(await person('ada'))
    const event = { notification_type: 'push', environment: 'development', message: 'bm8=' }
    await assert.rejects(pushnotifications.events.create(event), { code: 422 })
  })

  // ConnectyCube pushes chat messages to offline users, except silent ones
  // (docs/connectycube.md, Push).
  test('a chat message would be pushed to who is away, and to no one else', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const phone = await online(ada)
    const bobs = await client(bob)
    await bobs.pushnotifications.subscriptions.create(android())
    const send = (body, extension = {}) =>
      phone.sdk.chat.send(bob.id, { type: 'chat', body, extension: { save_to_history: 1, ...extension } })
    const [away, silent, here] = [`away ${unique()}`, `silent ${unique()}`, `here ${unique()}`]
    await send(away)
    await send(silent, { silent: 1 })
    await settled(phone)
    const tablet = await online(bob)
    await tablet.heard('message', { id: await send(here) })
    const kept = await outbox()
    assert.ok(kept.includes(away), kept.slice(-2000))
    assert.ok(!kept.includes(silent) && !kept.includes(here), kept.slice(-2000))
  })
})

describe('address book', () => {
  const number = () => `49${Math.floor(Math.random() * 1e10)}`

  test('contacts are uploaded, changed and removed, and each change is counted', async () => {
    const { addressbook } = await client(await person('ada'))
    const [a, b] = [number(), number()]
    const first = await addressbook.uploadAddressBook([{ name: 'A', phone: a }, { name: 'B', phone: b }])
    assert.deepEqual([first.created, first.updated, first.deleted], [2, 0, 0])
    const second = await addressbook.uploadAddressBook([{ name: 'A2', phone: a }, { name: 'B', phone: b, destroy: 1 }])
    assert.deepEqual([second.created, second.updated, second.deleted], [0, 1, 1])
    const kept = await addressbook.get()
    assert.deepEqual(kept.map((c) => [c.name, c.phone]), [['A2', a]])
  })

  test('force replaces the whole book; each device has one', async () => {
    const { addressbook } = await client(await person('ada'))
    const [a, b] = [number(), number()]
    await addressbook.uploadAddressBook([{ name: 'A', phone: a }], { udid: 'phone' })
    await addressbook.uploadAddressBook([{ name: 'B', phone: b }], { udid: 'phone', force: 1 })
    assert.deepEqual((await addressbook.get('phone')).map((c) => c.phone), [b])
    assert.deepEqual(await addressbook.get('tablet'), [])
  })

  test('contacts who are users are found, whole or compact', async () => {
    const phone = number()
    const bob = await person('bob', { phone })
    const { addressbook } = await client(await person('ada'))
    await addressbook.uploadAddressBook([{ name: 'Bob', phone }, { name: 'Nobody', phone: number() }])
    const whole = await addressbook.getRegisteredUsers()
    assert.deepEqual(whole.items.map(({ user }) => user.id), [bob.id])
    assert.equal(whole.items[0].user.full_name, bob.full_name)
    const compact = await addressbook.getRegisteredUsers(true)
    assert.deepEqual(compact.items.map(({ user }) => user.id), [bob.id])
  })
})
