// Peer-to-peer calls with the official SDK: Chromium's fake devices make a picture and
// a sound. The callers are in two browsers, as on two machines; what the sandbox does
// for them is to pass the signals on.
//
// Needs a running sandbox (SANDBOX_URL) and Chromium (CHROMIUM, default
// /usr/bin/chromium).

import { after, before, beforeEach, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { launchWith } from './chromium.mjs'
import { servePages } from './pages.mjs'
import { control, sandbox } from '../cubegate.mjs'
import { app, person, settings, withoutProvider } from '../sdk/devices.mjs'

withoutProvider()

// For conferences, the SDK wants webrtc-adapter, of which it reads the browser's name.
const html = `<!doctype html><title>caller</title>
<video id="local" autoplay muted></video><video id="remote" autoplay></video>
<script>adapter = { browserDetails: { browser: 'chrome' } }</script>
<script src="sdk.js"></script><script type="module" src="caller.mjs"></script>`

/** What the test page loads, by path: nothing comes from anywhere else. */
const served = {
  '/': ['text/html', () => html],
  '/sdk.js': ['text/javascript', () => readFile(fileURLToPath(import.meta.resolve('connectycube/umd')))],
  '/caller.mjs': ['text/javascript', () => readFile(new URL('caller.mjs', import.meta.url))],
}

const patience = 30_000 // ms, for pictures on a busy machine

/** No STUN or TURN server is asked, and the conference's server is the sandbox. */
const callSettings = (conference) => ({
  ...settings(),
  videochat: { iceServers: [], dialingTimeInterval: 5, answerTimeInterval: 60 },
  conference: { server: conference },
})

class Caller {
  constructor(owner, page) {
    this.id = owner.id
    this.page = page
  }

  does(name, input) {
    return this.page.evaluate(([name, input]) => window[name](input), [name, input])
  }

  /** Waits for an event of a kind that has not been returned yet. */
  async next(kind) {
    const handle = await this.page.waitForFunction((kind) => {
      const found = window.events.findIndex((e) => e.kind === kind)
      return found < 0 ? null : window.events.splice(found, 1)[0]
    }, kind, { timeout: patience })
    return handle.jsonValue()
  }

  /** Waits until picture and sound of another user have arrived. */
  async hears(id, other) {
    for (const deadline = Date.now() + patience; ; await sleep(100)) {
      const { frames, energy } = await this.does('received', { id, from: other.id })
      if (frames > 0 && energy > 0) return
      assert.ok(Date.now() < deadline, `of user ${other.id} came ${frames} frames, and sound of energy ${energy}`)
    }
  }
}

describe('calls between two browsers', () => {
  const browsers = []
  let pages, ada, bob

  before(async () => {
    pages = await servePages(served)
  })
  after(async () => {
    for (const browser of browsers) await browser.close()
    pages?.close()
  })

  /** A user with a browser. */
  async function caller(name, conference) {
    const owner = await person(name)
    const browser = await launchWith(
      ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection'],
      'EXCLUDE 127.0.0.1',
    )
    browsers.push(browser)
    const page = await browser.newPage()
    page.setDefaultTimeout(patience)
    await page.goto(`http://127.0.0.1:${pages.address().port}/`)
    await page.waitForFunction(() => 'enter' in window)
    const it = new Caller(owner, page)
    await it.does('enter', { credentials: { appId: app, authKey: 'sandbox-auth-key' }, settings: callSettings(conference), person: { id: owner.id, login: owner.login, password: owner.password } })
    return it
  }

  before(async () => {
    ;[ada, bob] = await Promise.all([caller('ada', sandbox), caller('bob', `${sandbox.replace('http', 'ws')}/janus`)])
  })
  beforeEach(() => Promise.all([ada, bob].map((it) => it.page.evaluate(() => void (window.events.length = 0)))))

  test('they call, see and hear each other, and hang up', async () => {
    const id = await ada.does('dial', { to: [bob.id], info: { topic: 'engines' } })
    const call = await bob.next('call')
    assert.deepEqual(call, { kind: 'call', id, info: { topic: 'engines' }, from: ada.id, type: 1 })
    await bob.does('answer', { id, info: { mood: 'good' } })
    assert.deepEqual(await ada.next('accepted'), { kind: 'accepted', id, user: bob.id, info: { mood: 'good' } })
    await Promise.all([ada.next('stream'), bob.next('stream')])
    await Promise.all([ada.hears(id, bob), bob.hears(id, ada)])
    await ada.does('hangUp', { id, info: { why: 'tea' } })
    assert.deepEqual(await bob.next('stopped'), { kind: 'stopped', id, user: ada.id, info: { why: 'tea' } })
    await Promise.all([ada.next('closed'), bob.next('closed')])
  })

  test('the called one hangs up, too', async () => {
    const id = await bob.does('dial', { to: [ada.id] })
    await ada.next('call')
    await ada.does('answer', { id })
    await bob.hears(id, ada)
    await ada.does('hangUp', { id })
    assert.equal((await bob.next('stopped')).user, ada.id)
    await bob.next('closed')
  })

  test('a call is rejected by chat', async () => {
    const id = await ada.does('dial', { to: [bob.id] })
    await bob.next('call')
    await bob.does('decline', { id, info: { busy: 'yes' } })
    assert.deepEqual(await ada.next('rejected'), { kind: 'rejected', id, user: bob.id, info: { busy: 'yes' } })
    await ada.next('closed')
  })

  // As a phone does that a push has woken up.
  test('a call is rejected by HTTP', async () => {
    const id = await ada.does('dial', { to: [bob.id] })
    await bob.next('call')
    const answer = await bob.page.evaluate(
      (params) => window.sdk.videochat.callRejectRequest(params),
      { sessionID: id, recipientId: ada.id, platform: 'web', userInfo: { busy: 'asleep' } },
    )
    assert.deepEqual(answer, {})
    assert.deepEqual(await ada.next('rejected'), { kind: 'rejected', id, user: bob.id, info: { busy: 'asleep' } })
    await ada.next('closed')
  })

  test('the caller gives up, and the sandbox keeps nothing of the call', async () => {
    const { messages, dialogs } = (await control('GET', 'state')).totals
    const id = await ada.does('dial', { to: [bob.id] })
    await bob.next('call')
    await ada.does('hangUp', { id })
    await bob.next('stopped')
    const now = (await control('GET', 'state')).totals
    assert.deepEqual([now.messages, now.dialogs], [messages, dialogs])
  })

  test('a conference is refused in words', async () => {
    for (const it of [ada, bob]) assert.match(await it.does('confer'), /The sandbox has no media server/)
  })
})
