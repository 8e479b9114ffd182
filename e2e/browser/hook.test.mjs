// ConnectyCube's React hook, unmodified from npm, in Chromium: a page for each person
// shows what the hook tells it, and the tests call the hook's functions. Ada logs in at
// cubegate and gives the hook that session; the hook itself signs the others up.
//
// The hook has no function to report a user or a message; an app posts to
// /data/UserReports itself, as the chat widget does in kits.test.mjs.
//
// Needs a running cubegate (CUBEGATE_URL, SANDBOX_URL) and Chromium (CHROMIUM, default
// /usr/bin/chromium). The tests are one story, so they run in order.

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { bundle } from './bundle.mjs'
import { launch } from './chromium.mjs'
import { servePages } from './pages.mjs'
import { config, control, drop, logIn, newUser, register, sandbox } from '../cubegate.mjs'
import { unique } from '../sdk/devices.mjs'
import { becomes } from '../waiting.mjs'

const mine = unique() // part of all names of this run
const [ADA, GRACE, MARY] = ['Ada Lovelace', `Grace ${mine}`, `Mary ${mine}`]

/** A person with a browser of their own. */
class Person {
  constructor(name, page) {
    this.name = name
    this.page = page
    this.login = `${name.split(' ')[0].toLowerCase()}-${mine}`
    this.password = `secret-${mine}`
    this.refused = []
    page.on('response', (r) => r.status() >= 400 && this.refused.push(`${r.status()} ${r.request().method()} ${new URL(r.url()).pathname}`))
    page.on('pageerror', (e) => this.refused.push(e.message))
  }

  /** Calls a function of the hook. */
  does(name, ...args) {
    return this.page.evaluate(([name, args]) => window.hook[name](...args), [name, args])
  }

  /** Waits until the elements that a selector finds have these texts. */
  sees(selector, ...texts) {
    return becomes(() => this.page.locator(selector).allInnerTexts(), texts, `${selector} of ${this.name}`)
  }

  /** sees for messages from the history, which the hook sorts by ID: in one second, that is no order. */
  seesInAnyOrder(selector, ...texts) {
    return becomes(async () => (await this.page.locator(selector).allInnerTexts()).toSorted(), texts.toSorted(), `${selector} of ${this.name}`)
  }

  /** Opens a chat of the list by its name. */
  async opens(name) {
    const dialog = await this.page.evaluate((name) => window.hook.dialogs.find((d) => d.name === name), name)
    await this.does('selectDialog', dialog)
    return dialog._id
  }

  /** Comes into chat with the session that the hook has, and asks for its chats. */
  async connects() {
    const { token, user_id } = await this.page.evaluate(() => window.hook.currentSession)
    assert.equal(await this.does('connect', { userId: user_id, password: token }), true)
    await this.sees('#status', 'connected')
    await this.does('fetchDialogs')
    return user_id
  }

  /** Loads the page again, with the same session, as an app does that has kept it. */
  async reloads() {
    const session = await this.page.evaluate(() => window.hook.currentSession)
    await this.page.reload()
    await this.page.waitForFunction(() => 'hook' in window)
    await this.does('setSession', session)
    await this.connects()
  }

  /** Waits until the sandbox has handled what the page has sent. */
  settles() {
    return this.page.evaluate(() => window.hook.getLastActivity(window.hook.currentUserId))
  }
}

/** Asks ConnectyCube's REST API by the session of a person. */
async function ask(person, what) {
  const { token } = await person.page.evaluate(() => window.hook.currentSession)
  const response = await fetch(`${sandbox}/${what}`, { headers: { 'CB-Token': token } })
  assert.ok(response.ok, `${what}: ${response.status}`)
  return response.json()
}

const dialogOf = (person, id) => person.page.evaluate((id) => window.hook.dialogs.find((d) => d._id === id), id)
const messagesOf = (person, id) => person.page.evaluate((id) => window.hook.messages[id], id)

describe('the React hook, in Chromium', () => {
  let pages, browser, provider, session, ada, grace, mary

  before(async () => {
    const person = newUser()
    await register(person)
    const { connectySession } = await logIn(person)
    const response = await fetch(`${sandbox}/session.json`, { headers: { 'CB-Token': connectySession } })
    session = (await response.json()).session
    provider = await control('GET', 'cidp')
    await control('PUT', 'cidp', { enabled: false }) // else it decides about the users of the hook
    await control('PUT', 'settings', { deny_auto_create: true }) // else the login before a sign-up makes the user
    const app = await bundle('hook.jsx')
    pages = await servePages({
      '/': ['text/html', () => '<!doctype html><title>hook</title><div id="app"></div><script type="module" src="hook.js"></script>'],
      '/hook.js': ['text/javascript', () => app],
    })
    browser = await launch('EXCLUDE 127.0.0.1')
    ;[ada, grace, mary] = await Promise.all([ADA, GRACE, MARY].map(open))
  })
  after(async () => {
    await browser?.close()
    pages?.close()
    await control('PUT', 'settings', { deny_auto_create: false })
    await control('PUT', 'cidp', provider)
  })

  async function open(name) {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.addInitScript((kit) => {
      window.kit = kit
    }, { appId: config.appId, authKey: 'sandbox-auth-key', config: { ...config, chat: { streamManagement: { enable: true } } } })
    await page.goto(`http://127.0.0.1:${pages.address().port}/`)
    await page.waitForFunction(() => 'hook' in window)
    return new Person(name, page)
  }

  test('it takes the session of a login at cubegate, and signs users up itself', async () => {
    await ada.does('setSession', session)
    ada.id = await ada.connects()
    assert.equal(ada.id, session.user_id)
    for (const person of [grace, mary]) {
      const { login, password, name } = person
      const user = await person.does('signupUser', { login, password, full_name: name })
      assert.deepEqual([user.login, user.full_name], [login, name])
      assert.deepEqual(person.refused.splice(0), ['404 POST /session.json']) // the hook logs in first
      person.id = await person.connects()
      assert.equal(person.id, user.id)
    }
    assert.equal((await grace.does('loginUser', { login: grace.login, password: grace.password })).id, grace.id)
    assert.equal((await grace.does('getSession')).user_id, grace.id)
  })

  test('it finds users', async () => {
    const found = async (words) => (await ada.does('searchUsers', words)).map((u) => u.full_name)
    assert.deepEqual(await found(`Grace ${mine}`), [GRACE])
    assert.deepEqual(await found(mary.login), [MARY]) // by login
    assert.deepEqual(await found(mine), []) // no name begins with it
    assert.equal((await ada.does('fetchUserById', mary.id)).full_name, MARY)
    const online = (await ada.does('fetchAllOnlineUsers')).map((u) => u.id)
    assert.ok([ada, grace, mary].every(({ id }) => online.includes(id)), `online are ${online}`)
    assert.ok((await ada.does('fetchOnlineUsersCount')) >= 3)
  })

  test('a private chat is live on both sides, with ticks and typing', async () => {
    await ada.does('createChat', grace.id)
    await ada.sees('#chats li', `${GRACE}: nothing (0 new)`)
    await grace.sees('#chats li', `${ADA}: nothing (0 new)`)
    const two = await ada.opens(GRACE)
    await ada.does('sendMessage', 'It weaves patterns')
    await grace.sees('#chats li', `${ADA}: It weaves patterns (1 new)`)
    await ada.sees('#messages li', 'It weaves patterns: sent')
    await ada.does('sendMessage', 'Algebraic ones')
    await grace.sees('#chats li', `${ADA}: Algebraic ones (2 new)`)

    await grace.opens(ADA)
    await grace.sees('#chats li', `${ADA}: Algebraic ones (0 new)`)
    await grace.sees('#messages li', 'It weaves patterns: sent', 'Algebraic ones: sent') // as they were before they were fetched
    for (const { _id } of await messagesOf(grace, two)) await grace.does('readMessage', _id, ada.id, two)
    await ada.sees('#messages li', 'It weaves patterns: read', 'Algebraic ones: read')

    await grace.does('sendTypingStatus')
    await ada.sees('#typing', GRACE)
    await grace.does('sendMessage', 'And numbers')
    await ada.sees('#typing', '') // the hook has no other signal that the typing is over
    await grace.sees('#messages li', 'It weaves patterns: read', 'Algebraic ones: read', 'And numbers: sent')

    const { items } = await ask(ada, `chat/Message?chat_dialog_id=${two}&mark_as_read=0`)
    assert.equal(items.length, 3)
    for (const m of items.filter(({ sender_id }) => sender_id === ada.id)) {
      assert.deepEqual([m.delivered_ids.toSorted(), m.read_ids.toSorted()], [[ada.id, grace.id].toSorted(), [ada.id, grace.id].toSorted()])
    }
  })

  test('an attachment arrives, and its link leads to the file', async () => {
    await ada.page.locator('input[type=file]').setInputFiles({ name: 'moth.txt', mimeType: 'text/plain', buffer: Buffer.from('a moth') })
    const link = grace.page.locator('#messages a', { hasText: 'text/plain' })
    await link.waitFor()
    const file = await grace.page.evaluate(async (url) => (await fetch(url)).text(), await link.getAttribute('href'))
    assert.equal(file, 'a moth')
    await grace.sees('#chats li', `${ADA}: Attachment (0 new)`)
    await ada.sees('#messages li', 'It weaves patterns: read', 'Algebraic ones: read', 'And numbers: wait', 'Attachment: senttext/plain')
  })

  test('a message is edited, and deleted for both', async () => {
    const two = await ada.page.evaluate(() => window.hook.selectedDialog._id)
    const [first, second] = await messagesOf(ada, two)
    await ada.does('editMessage', first._id, 'It weaves flowers')
    await grace.page.waitForFunction((id) => window.hook.messageEditEvent?.messageId === id, first._id)
    assert.equal((await grace.page.evaluate(() => window.hook.messageEditEvent)).updatedBody, 'It weaves flowers')
    await ada.does('deleteMessages', await dialogOf(ada, two), [second._id], true)
    await grace.page.locator(`[id="${second._id}"]`).waitFor({ state: 'detached' })
    const { items } = await ask(grace, `chat/Message?chat_dialog_id=${two}&mark_as_read=0&sort_asc=date_sent`)
    assert.deepEqual(items.map((m) => m.message), ['It weaves flowers', 'And numbers', 'Attachment'])
  })

  test('a group takes people in and out', async () => {
    const { _id: group } = await ada.does('createGroupChat', [grace.id], 'Engines')
    const chat = (person) => person.page.locator(`#chats [id="${group}"]`)
    await chat(grace).waitFor()
    await ada.opens('Engines')
    await ada.does('addUsersToGroupChat', [mary.id])
    await chat(mary).waitFor()
    for (const person of [ada, grace, mary]) await person.page.locator(`#chats [id="${group}"][title="${[ADA, GRACE, MARY].join(', ')}"]`).waitFor()

    await grace.opens('Engines')
    await mary.opens('Engines')
    await mary.does('sendMessage', 'Three of us')
    for (const person of [ada, grace]) await person.sees('#messages li', 'Three of us: wait')
    await mary.does('sendTypingStatus')
    await ada.sees('#typing', MARY)

    await ada.does('removeUsersFromGroupChat', [mary.id])
    for (const person of [ada, grace]) await person.page.locator(`#chats [id="${group}"][title="${ADA}, ${GRACE}"]`).waitFor()
    assert.deepEqual((await mary.does('fetchDialogs')).map((d) => d.name), [])
    await ada.does('sendMessage', 'Two of us')
    await grace.page.locator('#messages', { hasText: 'Two of us' }).waitFor()
    await mary.settles()
    assert.ok(!(await mary.page.locator('#messages').innerText()).includes('Two of us'))
    assert.deepEqual((await ask(ada, `chat/Dialog?_id=${group}`)).items[0].occupants_ids.toSorted(), [ada.id, grace.id].toSorted())
  })

  test('a reload brings the chats and the history back', async () => {
    await grace.reloads()
    await grace.sees('#chats li', 'Engines: Two of us (2 new)', `${ADA}: Attachment (1 new)`) // nothing has read them
    await grace.opens('Engines')
    await grace.seesInAnyOrder('#messages li', 'Three of us: sent', 'Two of us: sent') // the documented samples of groups have "read": 0
    await grace.opens(ADA)
    await grace.seesInAnyOrder('#messages li', 'It weaves flowers: read', 'And numbers: sent', 'Attachment: senttext/plain')
  })

  test('a lost connection comes back', async () => {
    await grace.page.evaluate(() => { // which lasts until the SDK is back
      window.lost = 0
      setInterval(() => (window.lost += window.hook.chatStatus === 'disconnected'), 10)
    })
    await drop(grace.id)
    await grace.page.waitForFunction(() => window.lost)
    await grace.sees('#status', 'connected')
    await ada.opens('Engines')
    await ada.does('sendMessage', 'Here again?')
    await grace.sees('#chats li:first-child', 'Engines: Here again? (1 new)')
  })

  test('a blocked user gets through again only when the block ends, also after a reload', async () => {
    const two = await ada.opens(GRACE)
    await ada.does('blockUser', grace.id)
    await ada.sees('#blocked', GRACE)
    await grace.opens(ADA)
    const blocked = async (message) => {
      await grace.page.evaluate(() => void (window.hook.messageErrorEvent = null))
      await grace.does('sendMessage', message)
      await grace.page.waitForFunction((message) => {
        const { messages, selectedDialog, messageErrorEvent } = window.hook
        return messageErrorEvent && messages[selectedDialog._id].find((m) => m.message === message)?._id === messageErrorEvent.messageId
      }, message)
    }
    await blocked('A moth')
    await ada.reloads()
    await ada.sees('#blocked', GRACE)
    await blocked('A second moth')
    await ada.does('unblockUser', grace.id)
    await ada.sees('#blocked', '')
    await grace.does('sendMessage', 'No moth')
    await ada.sees('#chats li:first-child', `${GRACE}: No moth (2 new)`) // with And numbers, which nothing has read
    const { items } = await ask(ada, `chat/Message?chat_dialog_id=${two}&mark_as_read=0&sort_asc=date_sent`)
    assert.deepEqual(items.map((m) => m.message), ['It weaves flowers', 'And numbers', 'Attachment', 'No moth'])
  })

  test('it tells when a user was last seen', async () => {
    assert.equal(await ada.does('getLastActivity', grace.id), 'Online')
    await ada.does('subscribeToLastActivity', grace.id)
    await ada.settles()
    await grace.does('disconnect')
    await ada.page.locator('#seen', { hasText: GRACE }).waitFor()
    await grace.connects()
  })

  test('chats are left and deleted', async () => {
    await grace.opens('Engines')
    await grace.does('leaveGroupChat')
    await grace.sees('#chats li', `${ADA}: No moth (0 new)`)
    await ada.page.locator(`#chats li[title="${ADA}"]`).waitFor()
    await ada.opens('Engines')
    await ada.does('deleteGroupChat')
    await ada.opens(GRACE)
    await ada.does('deleteChat')
    await ada.sees('#chats li')
    await grace.sees('#chats li')
    for (const person of [ada, grace]) assert.deepEqual(await person.does('fetchDialogs'), [])
    for (const person of [ada, grace, mary]) assert.deepEqual(person.refused, [], person.name)
  })
})
