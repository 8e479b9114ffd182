// Peer-to-peer calls with the official SDK: Chromium's fake devices make a picture and
// a sound. The callers are in two or three browsers, as on as many machines; what the
// sandbox does for them is to pass the signals on.
//
// Needs a running sandbox (SANDBOX_URL) and Chromium (CHROMIUM, default
// /usr/bin/chromium).

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { launchWith } from './chromium.mjs'
import { servePages } from './pages.mjs'
import { control, sandbox } from '../cubegate.mjs'
import { app, person, settings, withoutProvider } from '../sdk/devices.mjs'
import { until } from '../waiting.mjs'

withoutProvider()

// For conferences, the SDK wants webrtc-adapter, of which it reads the browser's name.
const html = `<!doctype html><title>caller</title>
<video id="local" autoplay muted></video>
<script>adapter = { browserDetails: { browser: 'chrome' } }</script>
<script src="sdk.js"></script><script type="module" src="caller.mjs"></script>`

/** What the test page loads, by path: nothing comes from anywhere else. */
const served = {
  '/': ['text/html', () => html],
  '/sdk.js': ['text/javascript', () => readFile(fileURLToPath(import.meta.resolve('connectycube/umd')))],
  '/caller.mjs': ['text/javascript', () => readFile(new URL('caller.mjs', import.meta.url))],
}

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

  /** Waits for an event of a kind and a call that has not been returned yet. The end of an older call may still be on its way. */
  async next(kind, id) {
    const handle = await this.page.waitForFunction(([kind, id]) => {
      const found = window.events.findIndex((e) => e.kind === kind && e.id === id)
      return found < 0 ? null : window.events.splice(found, 1)[0]
    }, [kind, id])
    return handle.jsonValue()
  }

  /** Waits until picture and sound of another user have arrived, beyond those that had. */
  async hears(id, other, before = { frames: 0, energy: 0 }) {
    await until(async () => {
      const { frames, energy } = await this.does('received', { id, from: other.id })
      return frames > before.frames && energy > before.energy
    }, `more frames and sound of user ${other.id} than ${JSON.stringify(before)}`)
  }

  /** Waits until more picture and sound of another user arrive. */
  async hearsMore(id, other) {
    return this.hears(id, other, await this.does('received', { id, from: other.id }))
  }
}

describe('calls between browsers', () => {
  const browsers = []
  let pages, ada, bob, cyd

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
    await page.goto(`http://127.0.0.1:${pages.address().port}/`)
    await page.waitForFunction(() => 'enter' in window)
    const it = new Caller(owner, page)
    await it.does('enter', { credentials: { appId: app, authKey: 'sandbox-auth-key' }, settings: callSettings(conference), person: { id: owner.id, login: owner.login, password: owner.password } })
    return it
  }

  before(async () => {
    const janus = `${sandbox.replace('http', 'ws')}/janus`
    ;[ada, bob, cyd] = await Promise.all([caller('ada', sandbox), caller('bob', janus), caller('cyd', sandbox)])
  })

  test('they call, see and hear each other, and hang up', async () => {
    const id = await ada.does('dial', { to: [bob.id], info: { topic: 'engines' } })
    const call = await bob.next('call', id)
    assert.deepEqual(call, { kind: 'call', id, info: { topic: 'engines' }, from: ada.id, type: 1 })
    await bob.does('answer', { id, info: { mood: 'good' } })
    assert.deepEqual(await ada.next('accepted', id), { kind: 'accepted', id, user: bob.id, info: { mood: 'good' } })
    await Promise.all([ada.next('stream', id), bob.next('stream', id)])
    await Promise.all([ada.hears(id, bob), bob.hears(id, ada)])
    await ada.does('hangUp', { id, info: { why: 'tea' } })
    assert.deepEqual(await bob.next('stopped', id), { kind: 'stopped', id, user: ada.id, info: { why: 'tea' } })
    await Promise.all([ada.next('closed', id), bob.next('closed', id)])
  })

  test('the called one hangs up, too', async () => {
    const id = await bob.does('dial', { to: [ada.id] })
    await ada.next('call', id)
    await ada.does('answer', { id })
    await bob.hears(id, ada)
    await ada.does('hangUp', { id })
    assert.equal((await bob.next('stopped', id)).user, ada.id)
    await bob.next('closed', id)
  })

  test('a call is rejected by chat', async () => {
    const id = await ada.does('dial', { to: [bob.id] })
    await bob.next('call', id)
    await bob.does('decline', { id, info: { busy: 'yes' } })
    assert.deepEqual(await ada.next('rejected', id), { kind: 'rejected', id, user: bob.id, info: { busy: 'yes' } })
    await ada.next('closed', id)
  })

  // As a phone does that a push has woken up.
  test('a call is rejected by HTTP', async () => {
    const id = await ada.does('dial', { to: [bob.id] })
    await bob.next('call', id)
    const answer = await bob.page.evaluate(
      (params) => window.sdk.videochat.callRejectRequest(params),
      { sessionID: id, recipientId: ada.id, platform: 'web', userInfo: { busy: 'asleep' } },
    )
    assert.deepEqual(answer, {})
    assert.deepEqual(await ada.next('rejected', id), { kind: 'rejected', id, user: bob.id, info: { busy: 'asleep' } })
    await ada.next('closed', id)
  })

  test('the caller gives up, and the sandbox keeps nothing of the call', async () => {
    const { messages, dialogs } = (await control('GET', 'state')).totals
    const id = await ada.does('dial', { to: [bob.id] })
    await bob.next('call', id)
    await ada.does('hangUp', { id })
    await bob.next('stopped', id)
    const now = (await control('GET', 'state')).totals
    assert.deepEqual([now.messages, now.dialogs], [messages, dialogs])
  })

  /** Ada calls both others. */
  async function dialBoth() {
    const id = await ada.does('dial', { to: [bob.id, cyd.id] })
    for (const it of [bob, cyd]) await it.next('call', id)
    return id
  }

  /** Waits until each of them sees and hears all others. */
  const hearEachOther = (id, ...all) =>
    Promise.all(all.flatMap((it) => all.filter((other) => other !== it).map((other) => it.hears(id, other))))

  test('three hear each other, and two go on when the third hangs up', async () => {
    const id = await dialBoth()
    await bob.does('answer', { id })
    assert.equal((await ada.next('accepted', id)).user, bob.id)
    await cyd.does('answer', { id })
    assert.equal((await ada.next('accepted', id)).user, cyd.id)
    await hearEachOther(id, ada, bob, cyd)

    await bob.does('hangUp', { id })
    await bob.next('closed', id)
    for (const it of [ada, cyd]) assert.equal((await it.next('stopped', id)).user, bob.id)
    await Promise.all([ada.hearsMore(id, cyd), cyd.hearsMore(id, ada)])
    await ada.does('hangUp', { id })
    assert.equal((await cyd.next('stopped', id)).user, ada.id)
    await Promise.all([ada.next('closed', id), cyd.next('closed', id)])
  })

  test('one of three rejects, and the other two talk', async () => {
    const id = await dialBoth()
    await cyd.does('decline', { id, info: { busy: 'yes' } })
    assert.deepEqual(await ada.next('rejected', id), { kind: 'rejected', id, user: cyd.id, info: { busy: 'yes' } })
    await bob.does('answer', { id })
    await hearEachOther(id, ada, bob)
    await bob.does('hangUp', { id })
    assert.equal((await ada.next('stopped', id)).user, bob.id)
    await ada.next('closed', id)
  })

  test('a conference is refused in words', async () => {
    for (const it of [ada, bob]) assert.match(await it.does('confer'), /The sandbox has no media server/)
  })
})
