// Broken connections, in Node; and what only settings of the whole process can
// show, which a page of the browser has to itself.

import { after, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { drop } from '../cubegate.mjs'
import { patience } from '../waiting.mjs'
import * as node from './devices.mjs'
import { reconnecting } from './checks/reconnecting.mjs'

const { hangUp, online, person, sdk, settled, withoutProvider } = node

withoutProvider()
reconnecting({ where: 'in Node', ...node })

describe('settings of the SDK, in Node', () => {
  after(hangUp)
  const send = (device, to, body) =>
    device.sdk.chat.send(to, { type: 'chat', body, extension: { save_to_history: 1 } })

  test('without reconnecting a dropped device stays away', async () => {
    const ada = await person('ada')
    const phone = await online(ada, { chat: { reconnect: { enable: false, timeInterval: 0.2 } } })
    await drop(ada.id)
    await phone.heard('disconnected')
    assert.equal(await phone.enter(), true)
    assert.equal((await phone.hears('reconnected')).length, 0)
    sdk() // puts the settings back
  })

  test('what arrives when the SDK has given up the stream is dropped', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const [phone, tablet] = [await online(ada), await online(bob)]
    const client = phone.sdk.chat.xmppClient
    client._detachParser() // as after two seconds without an end
    const arrived = new Promise((resolve) => client.socket.on('data', resolve))
    await send(tablet, ada.id, 'too late')
    await arrived
    assert.equal((await phone.hears('message')).length, 0)
  })

  // What is not acknowledged in time counts as lost. The SDK's timer for it outlives the connection, and would hold the process.
  const managed = { chat: { streamManagement: { enable: true, acknowledgementTimeout: patience / 1000 } } } // seconds
  const counting = []
  const counted = async (owner) => {
    const device = await online(owner, managed)
    counting.push(device)
    return device
  }
  after(() => counting.forEach(({ sdk }) => clearTimeout(sdk.chat.streamManagement.messagesQueueClearTimer)))

  test('with stream management the SDK says what was sent, one by one', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const [phone, tablet] = [await counted(ada), await counted(bob)]
    await settled(phone, tablet)
    const ids = []
    for (let i = 0; i < 5; i++) ids.push(await send(phone, bob.id, `counted ${i}`))
    await phone.heard('sent', { lost: null }, 5)
    await settled(phone, tablet)
    assert.deepEqual((await phone.hears('sent')).map((e) => e.id), ids)
    assert.deepEqual((await tablet.hears('message')).map((m) => m.id), ids)
  })

  test('with stream management receipts are not counted, and a reconnect begins anew', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const [phone, tablet] = [await counted(ada), await counted(bob)]
    await settled(phone, tablet)
    await phone.heard('delivered', { id: await send(phone, bob.id, 'first') })
    await drop(ada.id)
    await phone.heard('reconnected')
    await settled(phone, tablet)
    const id = await send(phone, bob.id, 'second')
    await phone.heard('sent', { id })
    await tablet.heard('message', { id })
    sdk()
  })
})
