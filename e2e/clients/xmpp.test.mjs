// stanza, an XMPP client that was not written for ConnectyCube, in the sandbox's chat. It uses
// parts of XMPP that the official SDKs leave out, such as the resumption of a stream.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createClient } from 'stanza'
import { config, drop, logIn, newUser, register, sandbox } from '../cubegate.mjs'
import { patience } from '../waiting.mjs'

const domain = config.endpoints.chat
const clients = []
let ada, bob, room

/** A promise that fails after a minute. stanza waits for the answer to a join without a limit. */
function bounded(promise) {
  let late
  const limit = new Promise((_, reject) => (late = setTimeout(() => reject(new Error('no answer within a minute')), patience)))
  return Promise.race([promise, limit]).finally(() => clearTimeout(late))
}

/** Waits for the event of a client whose argument fits. */
function heard(client, event, fits = () => true) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event} within a minute`)), patience)
    client.on(event, function listener(argument) {
      if (!fits(argument)) return
      clearTimeout(late)
      client.off(event, listener)
      resolve(argument)
    })
  })
}

/** Logs a user in, and connects a client to the chat. */
async function online(person, options = {}) {
  const { connectySession: password, ccUserId } = await logIn(person)
  const jid = `${ccUserId}-${config.appId}@${domain}`
  const client = createClient({ jid, password, autoReconnect: true, transports: { websocket: config.endpoints.chat_url, bosh: false }, ...options })
  clients.push(client)
  const started = heard(client, 'session:started')
  client.connect()
  await started
  const echo = heard(client, 'presence')
  client.sendPresence()
  await echo
  await client.enableCarbons()
  return { client, jid, ccUserId, session: password }
}

before(async () => {
  const [a, b] = [newUser(), newUser()]
  for (const person of [a, b]) await register(person)
  ;[ada, bob] = [await online(a), await online(b)]
  ada.second = (await online(a)).client
  const response = await fetch(`${sandbox}/chat/Dialog`, {
    method: 'POST',
    headers: { 'CB-Token': ada.session, 'Content-Type': 'application/json' },
    body: JSON.stringify({ type: 2, name: 'team', occupants_ids: [bob.ccUserId] }),
  })
  room = (await response.json()).xmpp_room_jid
})
after(() => {
  for (const client of clients) {
    client.config.autoReconnect = false
    client.disconnect()
  }
})

test('messages, chat states and markers reach the other user, and carbons the second device', async () => {
  const message = heard(bob.client, 'message', (m) => m.body === 'Hello Bob!')
  const carbon = heard(ada.second, 'carbon:sent')
  const displayed = heard(ada.client, 'marker:displayed')
  const id = ada.client.sendMessage({ to: bob.jid, type: 'chat', body: 'Hello Bob!', marker: { type: 'markable' } })
  assert.equal((await message).id, id)
  assert.equal((await carbon).carbon.forward.message.body, 'Hello Bob!')
  bob.client.markDisplayed(await message)
  assert.equal((await displayed).marker.id, id)
  const typing = heard(bob.client, 'chat:state', (m) => m.chatState === 'composing')
  ada.client.sendMessage({ to: bob.jid, type: 'chat', chatState: 'composing' })
  assert.equal((await typing).from, ada.client.jid)
})

test('a room takes a join with another name, and passes messages on', async () => {
  const joined = await bounded(bob.client.joinRoom(room, 'bobby'))
  assert.equal(joined.from, `${room}/${bob.ccUserId}`)
  const both = [ada, bob].map(({ client }) => heard(client, 'groupchat', (m) => m.body === 'Hello all!'))
  ada.client.sendMessage({ to: room, type: 'groupchat', body: 'Hello all!' })
  for (const m of await Promise.all(both)) assert.equal(m.from, `${room}/${ada.ccUserId}`)
  const wrong = bounded(ada.client.joinRoom(`team@conference.${domain}`, 'ada'))
  await assert.rejects(wrong, (e) => e.error?.condition === 'item-not-found')
})

test('requests that the sandbox does not know get an error, and the stream lives on', async () => {
  const { client } = ada
  const unknown = {
    history: () => client.searchHistory({ with: bob.jid }),
    vcard: () => client.getVCard(bob.jid),
    blocked: () => client.getBlocked(),
    version: () => client.getSoftwareVersion(domain),
    bookmarks: () => client.getBookmarks(),
    room: () => client.getRoomConfig(room),
  }
  for (const [name, ask] of Object.entries(unknown)) {
    await assert.rejects(ask(), (e) => e.error.condition === 'service-unavailable', name)
  }
  assert.deepEqual((await client.getRoster()).items, [])
  assert.ok((await client.getDiscoInfo(domain)).features.includes('urn:xmpp:carbons:2'))
  await client.ping(domain)
})

test('a broken connection is resumed, and no message is lost or doubled', async () => {
  const got = []
  ada.client.on('message', (m) => m.body?.startsWith('while away') && got.push(m.body))
  const before = ada.client.jid
  const resumed = heard(ada.client, 'stream:management:resumed')
  const last = heard(ada.client, 'message', (m) => m.body === 'while away 4')
  await drop(ada.ccUserId)
  for (let i = 0; i < 5; i++) bob.client.sendMessage({ to: ada.jid, type: 'chat', body: `while away ${i}` })
  await resumed
  await last
  assert.equal(ada.client.jid, before)
  await ada.client.ping(domain)
  assert.deepEqual(got, [0, 1, 2, 3, 4].map((i) => `while away ${i}`))
})

test('a wrong password is refused at once', async () => {
  const client = createClient({ jid: ada.jid, password: 'wrong', autoReconnect: false, transports: { websocket: config.endpoints.chat_url, bosh: false } })
  const failed = heard(client, 'auth:failed')
  const ended = heard(client, 'disconnected')
  client.connect()
  await failed
  await ended
})
