// ConnectyCube's chat widget, unmodified from npm, in Chromium: it lists the chats of a
// user who registered and logged in at cubegate. Two widgets then chat with each other,
// and one reports and blocks the other's user. The widget also signs users up itself,
// finds others, and makes a group. hook.test.mjs does the same with the React hook.
//
// Needs a cubegate to start (CUBEGATE_BINARY) and Chromium (CHROMIUM, default
// /usr/bin/chromium). Leaves screenshots in e2e/out.
//
// The widget resets endpoints.api_url after its start, so that it asks
// https://<endpoints.api> from then on: the sandbox has to speak TLS, and cubegate
// uses it as it would use ConnectyCube.

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.mjs'
import { launch } from './chromium.mjs'
import { servePages } from './pages.mjs'
import { banner, found, start, stop } from '../process.mjs'
import { until } from '../waiting.mjs'

const out = fileURLToPath(new URL('../out/', import.meta.url))
const app = { appId: 1001, authKey: 'sandbox-auth-key' }

describe("ConnectyCube's chat widget, in Chromium", () => {
  const running = []
  let folder, pages, browser, context, at, ada, grace, widget, refused

  async function run(args, env) {
    const server = start(process.env.CUBEGATE_BINARY, args, await mkdtemp(path.join(folder, 'run-')), env)
    running.unshift(server)
    return banner(server)
  }

  before(async () => {
    await mkdir(out, { recursive: true })
    folder = await mkdtemp(path.join(tmpdir(), 'cubegate-kits-'))
    const box = await run(['sandbox', '--tls'])
    at = found(box, /REST API +(https:\S+)/)
    process.env.CUBEGATE_URL = found(
      await run([], {
        APP_ID: String(app.appId),
        AUTH_KEY: app.authKey,
        JWT_SECRET: randomBytes(32).toString('base64'),
        CONNECTYCUBE_API_URL: at,
        SSL_CERT_FILE: found(box, /NODE_EXTRA_CA_CERTS=(\S+)/),
      }),
      /(http:\S+)\/api/,
    )
    widget = await bundle('widget.jsx')
    pages = await servePages({
      '/': ['text/html', () => '<!doctype html><title>widget</title><div id="app"></div><script type="module" src="widget.js"></script>'],
      '/widget.js': ['text/javascript', () => widget],
      '/logo.png': ['image/png', () => ''], // the app's, for which the widget asks
    })
    browser = await launch('EXCLUDE 127.0.0.1')
    context = await storage()
    await talk()
  })
  after(async () => {
    await browser?.close()
    pages?.close()
    for (const server of running) await stop(server)
    await rm(folder, { recursive: true, force: true })
  })

  /** A browser without cookies and storage, as of another person. */
  async function storage() {
    const fresh = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1000, height: 700 } })
    return fresh
  }

  /** Asks ConnectyCube's REST API by the session of a login. */
  async function ask(login, method, what, data) {
    const response = await context.request.fetch(`${at}/${what}.json`, { method, data, headers: { 'CB-Token': login.connectySession } })
    assert.ok(response.ok(), `${method} ${what}: ${response.status()} ${await response.text()}`)
    return response.json()
  }

  /** Two users register, log in, and have a private and a group chat. */
  async function talk() {
    const { logIn, newUser, register } = await import('../cubegate.mjs') // it reads CUBEGATE_URL when it is loaded
    const join = async (name) => {
      const person = { ...newUser(), ...name }
      await register(person)
      return logIn(person)
    }
    ada = await join({ firstName: 'Ada', lastName: 'Lovelace' })
    grace = await join({ firstName: 'Grace', lastName: 'Hopper' })
    const two = await ask(ada, 'POST', 'chat/Dialog', { type: 3, occupants_ids: [grace.ccUserId] })
    const team = await ask(grace, 'POST', 'chat/Dialog', { type: 2, name: 'Engines', occupants_ids: [ada.ccUserId] })
    await ask(grace, 'POST', 'chat/Message', { chat_dialog_id: two._id, message: 'A moth in the relay' })
    await ask(ada, 'POST', 'chat/Message', { chat_dialog_id: team._id, message: 'It weaves patterns' })
  }

  /** Waits until the sandbox has refused a stanza of a user. */
  async function refusal({ ccUserId }) {
    await until(async () => {
      const { entries } = await (await context.request.fetch(`${at}/_sandbox/journal`)).json()
      return entries.some((e) => e.user_id === ccUserId && e.direction === 'out' && e.stanza.includes('type="error"'))
    }, 'a stanza is refused')
  }

  /** Opens the widget's page for a user who has logged in. All that is refused goes to refused. */
  async function open(login, by = context) {
    const { session } = await ask(login, 'GET', 'session')
    return show({ session }, by)
  }

  /** Opens the widget's page with a session, or with a user of the app, whom the widget itself signs up or in. */
  async function show({ session, user }, by) {
    const page = await by.newPage()
    refused = []
    page.on('response', (r) => r.status() >= 400 && refused.push(`${r.status()} ${r.request().method()} ${r.url()}`))
    const host = new URL(at).host
    const config = { endpoints: { api: host, chat: 'chat.connectycube.com', chat_url: `wss://${host}/chat` }, debug: { mode: 0 } }
    await page.addInitScript((known) => {
      window.kit = known
      if (known.session) localStorage.setItem('@connectycube/chat-widget:session', JSON.stringify(known.session))
    }, { ...app, config, session, user })
    await page.goto(`http://127.0.0.1:${pages.address().port}/`)
    return page
  }

  test('the chat widget lists the chats, the other by name, and opens one', async () => {
    const page = await open(grace)
    await page.getByText('Engines', { exact: true }).waitFor()
    await page.getByText('Ada Lovelace', { exact: true }).waitFor()
    await page.screenshot({ path: `${out}widget.png` })
    await page.getByText('Ada Lovelace', { exact: true }).click()
    await page.getByText('A moth in the relay').nth(1).waitFor() // beside the list's
    await page.screenshot({ path: `${out}widget-open.png` })
    assert.deepEqual(refused, [])
    await page.close()
  })

  test('two widgets type, send, tick, attach, report and block', async () => {
    const adas = await open(ada, await storage())
    const graces = await open(grace, await storage())
    const list = (page) => page.locator('[id$=content-chats]')
    const field = (page) => page.getByPlaceholder('Enter message...')
    await list(adas).getByText('Grace Hopper', { exact: true }).waitFor()
    await list(graces).getByText('Ada Lovelace', { exact: true }).click()

    const typing = list(adas).getByText('typing...').waitFor() // it goes when Grace pauses
    await field(graces).pressSequentially('A second moth')
    await typing
    await field(graces).press('Enter')
    await list(adas).getByText('A second moth').waitFor() // the list is live
    const sent = graces.locator('.view', { hasText: 'A second moth' })
    await sent.locator('svg.lucide-check-check, svg.lucide-check').first().waitFor()
    await list(adas).getByText('Grace Hopper', { exact: true }).click()
    await sent.locator('svg.lucide-check-check').waitFor()

    await graces.locator('#file-uploader').setInputFiles({ name: 'moth.txt', mimeType: 'text/plain', buffer: Buffer.from('a moth') })
    await adas.locator('.view', { hasText: 'text/plain' }).waitFor()
    await adas.reload()
    await list(adas).getByText('Attachment').click()
    await adas.locator('.view', { hasText: 'A second moth' }).waitFor()

    await adas.locator('span.cursor-pointer', { hasText: 'Grace Hopper' }).click() // opens her profile
    await adas.getByText('Report', { exact: true }).last().click()
    await adas.getByPlaceholder('Reason for reporting').fill('a moth too many')
    const reported = adas.waitForResponse((r) => r.url().includes('/data/UserReports'))
    await adas.getByRole('button', { name: 'Send', exact: true }).click()
    assert.equal((await reported).status(), 201)
    const { items: [report] } = await ask(ada, 'GET', 'data/UserReports')
    assert.equal(String(report.reportedUserId), String(grace.ccUserId))
    assert.deepEqual([report.reason, report.user_id], ['a moth too many', ada.ccUserId])
    await adas.getByRole('dialog').waitFor({ state: 'detached' })

    await adas.getByText('Block', { exact: true }).last().click()
    await adas.getByRole('alertdialog').getByText('Continue').last().click()
    await adas.getByText('Unblock', { exact: true }).last().waitFor()
    await field(graces).fill('A third moth')
    await field(graces).press('Enter')
    await refusal(grace)
    const { items: [dialog] } = await ask(ada, 'GET', 'chat/Dialog', { type: 3 })
    const { items: kept } = await ask(ada, 'GET', 'chat/Message', { chat_dialog_id: dialog._id })
    assert.deepEqual(kept.map((m) => m.message).slice(0, 2), ['A moth in the relay', 'A second moth'])
    assert.ok(!kept.some((m) => m.message === 'A third moth'))
    await adas.screenshot({ path: `${out}widget-blocked.png` })
    assert.deepEqual(refused, [])
    await adas.context().close()
    await graces.context().close()
  })

  test('a widget signs its user up, finds others and makes a group', async () => {
    const user = { userId: 'engineer-7', userName: 'Mary Somerville' }
    const graces = await open(grace, await storage())
    const fresh = await storage()
    const settings = (data) => context.request.put(`${at}/_sandbox/settings`, { data })
    assert.ok((await settings({ deny_auto_create: true })).ok()) // else the first login makes the user
    const signUp = fresh.waitForEvent('response', (r) => r.request().method() === 'POST' && /\/users(\.json)?$/.test(r.url()))
    const marys = await show({ user }, fresh)
    const { user: mary } = await (await signUp).json()
    assert.ok((await settings({ deny_auto_create: false })).ok())
    const list = (page) => page.locator('[id$=content-chats]')

    await list(marys).locator('button.absolute').click() // the plus, which has no name
    await marys.getByText('New group', { exact: true }).click()
    const dialog = marys.getByRole('dialog')
    const search = async (words) => {
      const answer = marys.waitForResponse((r) => r.url().includes(`full_name[start_with]=${encodeURIComponent(words)}&`))
      await dialog.getByPlaceholder('Enter user name').fill(words)
      await dialog.getByPlaceholder('Enter user name').press('Enter')
      return (await (await answer).json()).items.map(({ full_name }) => full_name)
    }
    const select = async (name) => {
      await dialog.getByText(name, { exact: true }).waitFor()
      await dialog.getByRole('button', { name: 'Select', exact: true }).click()
    }
    assert.deepEqual(await search('Grace'), ['Grace Hopper'])
    await select('Grace Hopper')
    assert.deepEqual(await search('Lovelace'), []) // Ada's name begins otherwise
    assert.deepEqual(await search('Ada '), ['Ada Lovelace'])
    await select('Ada Lovelace')
    await marys.getByRole('button', { name: 'Create group chat' }).click()
    await marys.getByPlaceholder('Chat name').fill('Looms')
    await marys.getByRole('button', { name: 'Create group chat' }).click()
    await list(graces).getByText('Looms', { exact: true }).click() // arrived without a reload
    await marys.getByPlaceholder('Enter message...').fill('Three of us')
    await marys.getByPlaceholder('Enter message...').press('Enter')
    await graces.locator('.view', { hasText: 'Three of us' }).waitFor()
    await marys.screenshot({ path: `${out}widget-group.png` })

    const { items } = await ask(ada, 'GET', 'chat/Dialog', { type: 2 })
    const group = items.find((d) => d.name === 'Looms')
    assert.deepEqual([mary.external_id, mary.full_name], [user.userId, user.userName])
    assert.deepEqual([group.user_id, group.occupants_ids.toSorted()], [mary.id, [ada.ccUserId, grace.ccUserId, mary.id].toSorted()])

    await marys.context().clearCookies()
    await marys.evaluate(() => localStorage.clear())
    await marys.reload() // logs in as the same user, with the password that the widget derives
    await list(marys).getByText('Looms', { exact: true }).waitFor()
    assert.deepEqual(refused, [`404 POST ${at}/session.json`]) // the login before the sign-up
    await marys.context().close()
    await graces.context().close()
  })
})
