// The chat checks of sdk/checks once more, with the SDK's browser build in
// Chromium: each device is a page. And what only a browser asks of a server.
//
// Needs a running sandbox (SANDBOX_URL) and Chromium (CHROMIUM, default
// /usr/bin/chromium).

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { launch } from './chromium.mjs'
import { servePages } from './pages.mjs'
import { sandbox } from '../cubegate.mjs'
import { app, Device, person, settings, unique, withoutProvider } from '../sdk/devices.mjs'
import { connecting } from '../sdk/checks/connecting.mjs'
import { expiring } from '../sdk/checks/expiring.mjs'
import { groups } from '../sdk/checks/groups.mjs'
import { messages } from '../sdk/checks/messages.mjs'
import { receipts } from '../sdk/checks/receipts.mjs'
import { reconnecting } from '../sdk/checks/reconnecting.mjs'

const elsewhere = 'app.example' // a name that Chromium is told is this machine

/** What the test page loads, by path: nothing comes from anywhere else. */
const served = {
  '/': ['text/html', () => '<!doctype html><title>device</title><script src="sdk.js"></script><script type="module" src="device.mjs"></script>'],
  '/sdk.js': ['text/javascript', () => readFile(fileURLToPath(import.meta.resolve('connectycube/umd')))],
  '/listen.mjs': ['text/javascript', () => readFile(new URL('../sdk/listen.mjs', import.meta.url))],
  '/device.mjs': ['text/javascript', () => readFile(new URL('device.mjs', import.meta.url))],
}

let browser, context, pages, port

before(async () => {
  pages = await servePages(served)
  port = pages.address().port
  browser = await launch(`MAP ${elsewhere} 127.0.0.1`, 'EXCLUDE 127.0.0.1')
  context = await browser.newContext()
})
after(async () => {
  await browser?.close()
  pages?.close()
})

/** A device in a page of its own. Its sdk is the page's, at the end of a wire. */
class PageDevice extends Device {
  constructor(owner, page) {
    super(owner, undefined)
    this.page = page
    this.sdk = remote((path, args) => this.call(path, args))
  }

  async call(path, args) {
    const outcome = await this.within((call) => window.call(call), { path, args })
    if ('thrown' in outcome) throw outcome.thrown
    return outcome.value
  }

  /** Evaluates in the page. What a closed page has not answered it never will. */
  async within(does, input) {
    try {
      return await this.page.evaluate(does, input)
    } catch (e) {
      if (!this.page.isClosed()) throw e
      return new Promise(() => {})
    }
  }

  events() {
    return this.within(() => window.heard)
  }

  allow(ms) {
    return this.within((ms) => {
      window.sdk.chat.xmppClient.timeout = ms
    }, ms)
  }

  status() {
    return this.within(() => window.deviceStatus())
  }

  token() {
    return this.within(() => window.sdk.service.getSession().token)
  }

  hangUp() {
    return this.within(() => window.sdk.chat.disconnect())
  }
}

/** An object whose members of any depth can be called: call gets their path. */
function remote(call, path = '') {
  return new Proxy(() => {}, {
    get: (_, name) => (name === 'then' && !path ? undefined : remote(call, path ? `${path}.${name}` : name)),
    apply: (_, __, args) => call(path, args),
  })
}

const open = new Set()

/** A page with an SDK, without a session. */
async function page(host = '127.0.0.1') {
  const it = await context.newPage()
  await it.goto(`http://${host}:${port}/`)
  await it.waitForFunction(() => 'start' in window)
  return it
}

async function offline(owner, options) {
  const device = new PageDevice(owner, await page())
  open.add(device)
  await device.within((start) => window.start(start), {
    credentials: owner.token ? { appId: app, token: owner.token } : { appId: app, authKey: 'sandbox-auth-key' },
    settings: settings(options),
  })
  if (!owner.token) await device.sdk.createSession({ login: owner.login, password: owner.password })
  return device
}

async function online(owner, options) {
  const device = await offline(owner, options)
  await device.connect()
  return device
}

async function hangUp() {
  for (const device of open) {
    await device.hangUp()
    await device.page.close()
  }
  open.clear()
}

const chromiumDevices = { where: 'in Chromium', online, offline, hangUp }

withoutProvider()
connecting(chromiumDevices)
messages(chromiumDevices)
groups(chromiumDevices)
receipts(chromiumDevices)
reconnecting(chromiumDevices)
expiring(chromiumDevices)

describe('what only a browser asks, in Chromium', () => {
  after(hangUp)

  test('a page of another origin reads answers, refusals and until when the session lives', async () => {
    const ada = await person('ada')
    const device = await offline(ada)
    const { items } = await device.sdk.users.getV2({ id: ada.id })
    assert.equal(items[0].login, ada.login)
    await assert.rejects(device.sdk.users.update({ login: 'a' }), { code: 422 })
    const until = await device.within(
      async ([url, token]) => (await fetch(url, { headers: { 'CB-Token': token } })).headers.get('CB-Token-ExpirationDate'),
      [`${sandbox}/session.json`, await device.token()],
    )
    assert.match(until, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/)
  })

  test('every method of the API is open to pages', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const { chat, destroySession } = (await offline(ada)).sdk
    const { _id } = await chat.dialog.create({ type: 2, name: 'group', occupants_ids: [bob.id] }) // POST
    assert.equal((await chat.dialog.update(_id, { name: 'renamed' })).name, 'renamed') // PUT
    await chat.dialog.delete(_id, { force: 1 }) // DELETE
    assert.equal((await chat.dialog.list()).total_entries, 0) // GET
    await destroySession()
  })

  test('a file is uploaded from a page and read by a page', async () => {
    const device = await offline(await person('ada'))
    const text = `from a page ${unique()}`
    const read = await device.within(async (text) => {
      const file = new File([text], 'note.txt', { type: 'text/plain' })
      const { uid } = await window.sdk.storage.createAndUpload({ name: 'note.txt', file, size: file.size, type: 'text/plain' })
      return (await fetch(window.sdk.storage.publicUrl(uid))).text()
    }, text)
    assert.equal(read, text)
  })

  test('any page may use the API, none from elsewhere the control area', async () => {
    const stranger = await page(elsewhere)
    const ask = (url, init) =>
      stranger.evaluate(([url, init]) => fetch(url, init).then((r) => r.status, () => 'blocked'), [url, init])
    assert.equal(await ask(`${sandbox}/session`), 401)
    assert.equal(await ask(`${sandbox}/_sandbox/state`), 'blocked')
    const state = await fetch(`${sandbox}/_sandbox/state`, { headers: { Origin: `http://${elsewhere}:${port}` } })
    assert.equal(state.status, 403)
    await stranger.close()
  })

  test('a call signal arrives where the other page waits for calls', async () => {
    const [ada, bob] = [await person('ada'), await person('bob')]
    const [phone, tablet] = [await online(ada), await online(bob)]
    await tablet.within(() => {
      window.sdk.videochat.onCallListener = (session, extension) =>
        window.heard.push({ kind: 'call', from: session.initiatorID, type: session.callType, extension })
    })
    await phone.within((to) => {
      const session = window.sdk.videochat.createNewSession([to], 2)
      session.call({ subject: 'ring' })
    }, bob.id)
    const { extension } = await tablet.heard('call', { from: ada.id })
    assert.equal(extension.userInfo?.subject ?? extension.subject, 'ring')
  })
})
