// People, and the devices they chat with: each device is an official SDK, with the mend of
// mended.mjs.
//
// The SDK keeps its settings in global variables (docs/connectycube.md, Sessions), so all devices use one
// sandbox, and settings() changes the settings of all.

import { after, before } from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import SDK from 'connectycube'
import { config, control } from '../cubegate.mjs'
import { patience } from '../waiting.mjs'
import { listen } from './listen.mjs'
import { mended } from './mended.mjs'

const { ConnectyCube } = SDK.default ?? SDK

// The SDK prints each refused connection, which is what many checks are about.
const complain = console.error
console.error = (...words) => {
  if (words[0] !== '[Chat] xmppClient.start error') complain(...words)
}

export const app = config.appId
export const chatDomain = config.endpoints.chat
export const mucDomain = `muc.${chatDomain}`
export const roomOf = (dialogID) => `${app}_${dialogID}@${mucDomain}`

/** The SDK's settings: defaults of ours under what is given. */
export function settings({ chat = {}, on = {}, timeout = patience } = {}) {
  return {
    endpoints: config.endpoints,
    chat: {
      reconnect: { enable: true, timeInterval: 0.2 }, // seconds
      streamManagement: { enable: false },
      ...chat,
    },
    debug: { mode: 0 },
    on: { sessionExpired: undefined, ...on },
    timeout, // ms
  }
}

/** An SDK without a session, or with the one of a token. */
export function sdk(options, token) {
  const it = new ConnectyCube()
  it.init(token ? { appId: app, token } : { appId: app, authKey: 'sandbox-auth-key' }, settings(options))
  return mended(it)
}

export const unique = () => randomBytes(6).toString('hex')

/** Signs a new user up. */
export async function person(name, profile = {}) {
  const mine = unique()
  const account = {
    login: `${name}-${mine}`,
    email: `${name}-${mine}@example.org`,
    password: `secret-${mine}`,
    full_name: `${name} ${mine}`,
  }
  const { user } = await sdk().users.signup({ ...account, ...profile })
  return { ...account, id: user.id, user }
}

/** An SDK with the session of a user, without chat. A guest has a token in place of a password. */
export async function client(owner, options) {
  const it = sdk(options, owner.token)
  if (owner.token) return it
  await it.createSession({ login: owner.login, password: owner.password })
  return it
}

const handshake = 2000 // ms that the SDK gives one; a busy machine may need longer

/**
 * A device has an owner, an sdk, and everything that the SDK told its app. What
 * sdk.chat.… returns may be a promise, as the SDK may be in a page.
 */
export class Device {
  constructor(owner, sdk) {
    this.owner = owner
    this.id = owner.id
    this.sdk = sdk
  }

  /** Comes into chat, or is refused, as the SDK's connect says. */
  async enter(password = this.owner.password, userId = this.id) {
    await this.allow(patience)
    try {
      return await this.sdk.chat.connect({ userId, password })
    } finally {
      await this.allow(handshake) // by which the SDK also gives up a silent socket
    }
  }

  /**
   * Comes into chat, and returns when messages arrive. The SDK is "connected" before it has sent its presence, and
   * until that is there messages go to the user's other devices only.
   */
  async connect(password) {
    assert.equal(await this.enter(password), true)
    await this.sdk.chat.ping()
  }

  /** All that was reported, in order. */
  async events() {
    return this.recorded
  }

  /** Waits for the first report of a kind with these fields, or for n of them. */
  async heard(kind, fields = {}, n = 1) {
    for (const deadline = Date.now() + patience; ; await sleep(10)) {
      const found = matching(await this.events(), kind, fields)
      if (found.length >= n) return n === 1 ? found[0] : found
      if (Date.now() > deadline) await this.#missed(kind, fields, n, found.length)
    }
  }

  /** What was reported until now, of a kind and with these fields. */
  async hears(kind, fields = {}) {
    return matching(await this.events(), kind, fields)
  }

  async #missed(kind, fields, n, found) {
    const other = (await this.events()).filter((e) => e.kind !== 'stanza').slice(-12).map((e) => inspect(e, { breakLength: Infinity, depth: 4 }))
    assert.fail(
      `${this.owner.login} waited ${patience / 1000} s for ${n} × ${kind} ${inspect(fields)}, of which ${found} came.\n` +
        `What came last:\n${other.join('\n') || '(nothing)'}`,
    )
  }
}

/** A field matches what it equals, or what its function says. */
function matching(events, kind, fields) {
  const wanted = Object.entries(fields)
  const fits = (want, got) => (typeof want === 'function' ? want(got) : isDeepStrictEqual(want, got))
  return events.filter((e) => e.kind === kind && wanted.every(([name, want]) => fits(want, e[name])))
}

class NodeDevice extends Device {
  recorded = []

  constructor(owner, sdk) {
    super(owner, sdk)
    listen(sdk.chat, (event) => this.recorded.push(event))
  }

  async allow(ms) {
    this.sdk.chat.xmppClient.timeout = ms
  }

  async status() {
    const { chat } = this.sdk
    return { connected: chat.isConnected, status: chat.connectionStatus, jid: chat.xmppClient.jid?.toString() }
  }

  async token() {
    return this.sdk.service.getSession().token
  }

  async hangUp() {
    await this.sdk.chat.disconnect()
  }
}

const open = new Set()

/** A device of a user, logged in, without chat. */
export async function offline(owner, options) {
  const device = new NodeDevice(owner, await client(owner, options))
  open.add(device)
  return device
}

/** A device of a user, in chat. */
export async function online(owner, options) {
  const device = await offline(owner, options)
  await device.connect()
  return device
}

/** Ends all connections: one that stays keeps the process alive. */
export async function hangUp() {
  await Promise.all([...open].map((device) => device.hangUp()))
  open.clear()
}

/**
 * Returns once everything that these devices caused has arrived at them. Streams
 * are in order, so what was to come has come when a ping is answered: the first
 * round is for what was sent, the second for the receipts which that made the
 * receivers send, the third brings these home.
 */
export async function settled(...devices) {
  for (let round = 0; round < 3; round++) {
    for (const device of devices) await device.sdk.chat.ping()
  }
}

/** For the tests of a file: the application asks no identity provider. */
export function withoutProvider() {
  let found
  before(async () => {
    found = await control('GET', 'cidp')
    await control('PUT', 'cidp', { enabled: false })
  })
  after(() => control('PUT', 'cidp', found))
}
