// What a person does with the dashboard, in a real browser, with an official SDK as the
// other side. The tests are one story in one page, so they run in order.
//
// Needs a running sandbox (SANDBOX_URL, default http://127.0.0.1:3001) and Chromium
// (CHROMIUM, default /usr/bin/chromium). It empties the sandbox, at the beginning and at
// the end.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import SDK from 'connectycube'
import { control, sandbox } from '../cubegate.mjs'
import { patience, until } from '../waiting.mjs'
import { api, assertQuiet, copied, desktop, free, go, logIn, open, password, start } from './dashboard.mjs'

const { ConnectyCube } = SDK.default ?? SDK

let browser, page, seen, grace, token, lena
const heard = []

before(async () => {
  browser = await start()
  await control('POST', 'seed', { users: [{ login: 'grace', password, full_name: 'Grace Hopper', email: 'grace@example.org' }] })
  ;({ page, seen } = await open(browser, { ...desktop, permissions: ['clipboard-read', 'clipboard-write'] }))
})

after(async () => {
  grace?.chat.disconnect()
  await control('POST', 'reset')
  await browser?.close()
})

let failed = false

/** A test of the story: after a failure the rest proves nothing, and would wait in vain. */
const step = (name, play) => test(name, async () => {
  assert.ok(!failed, 'an earlier step failed')
  failed = true
  await play()
  failed = false
})

const armed = () => page.locator('#faults li')
const modal = () => page.getByRole('dialog')

step('reads the key, and connects an official SDK with the snippet', async () => {
  assert.equal(await copied(page, 'Copy Authorization key'), 'sandbox-auth-key')
  assert.equal(await copied(page, 'Copy Application ID'), '1001')
  grace = new ConnectyCube()
  new Function('ConnectyCube', await copied(page, 'Copy the SDK snippet'))(grace)
  const session = await grace.createSession({ login: 'grace', password })
  grace.chat.xmppClient.timeout = patience // for the handshake
  await grace.chat.connect({ userId: session.user_id, password: session.token })
  grace.chat.onMessageListener = (from, message) => heard.push(message)
  await page.locator('#n-connections').getByText('1', { exact: true }).waitFor()
})

step('adds a user, and is told what is wrong with her first', async () => {
  await go(page, 'Users')
  await page.getByRole('button', { name: 'Add user' }).click()
  await page.getByLabel('Full name').fill('Lena Example')
  await page.getByLabel('Login').fill('grace')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await modal().getByRole('alert').getByText('login must be unique').waitFor()
  await page.getByLabel('Login').fill('lena')
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await page.getByRole('button', { name: 'Lena Example', exact: true }).waitFor()
  assert.equal((await logIn('lena')).status, 201)
})

step('finds her, and signs in as her', async () => {
  await page.getByLabel('Search users').fill('LENA')
  await page.getByText('1 to 1 of 1').waitFor()
  await page.getByRole('button', { name: 'Sign in as Lena Example' }).click()
  await page.getByRole('button', { name: 'Open session' }).click()
  token = await page.locator('#token').innerText()
  const { session } = await api('GET', '/session', undefined, token)
  assert.equal(session.user.full_name, 'Lena Example')
  lena = session.user_id
  await page.getByRole('link', { name: 'Write as this user' }).click()
})

step('sends a message, which the SDK gets, and sees the ticks and the typing', async () => {
  await page.getByRole('button', { name: 'New chat' }).click()
  for (const [label, name] of [['Started by', 'Lena'], ['With', 'Grace']]) {
    const input = modal().getByLabel(label, { exact: true })
    await input.fill(name)
    const option = modal().locator(`datalist option[value^="${name}"]`).first()
    await option.waitFor({ state: 'attached' })
    await input.fill(await option.getAttribute('value'))
  }
  await page.getByRole('button', { name: 'Create' }).click()
  assert.equal(await page.getByLabel('Write as').inputValue(), String(lena))
  await page.getByLabel('Message', { exact: true }).fill('Hello from the dashboard')
  await page.keyboard.press('Enter')
  const bubble = page.locator('.bubble', { hasText: 'Hello from the dashboard' })
  await bubble.waitFor()
  await until(() => heard.length === 1, 'Grace hears the message')
  assert.equal(heard[0].body, 'Hello from the dashboard')
  const dialogId = heard[0].dialog_id
  await grace.chat.message.list({ chat_dialog_id: dialogId }) // which marks as read
  await bubble.getByText('Read', { exact: true }).waitFor({ state: 'attached' })
  grace.chat.sendIsTypingStatus(lena)
  await page.getByText('Grace Hopper is typing…').waitFor()
  grace.chat.send(lena, { type: 'chat', body: 'Hello back', extension: { save_to_history: 1, dialog_id: dialogId } })
  await page.locator('.bubble', { hasText: 'Hello back' }).waitFor()
  await page.getByText('is typing…').waitFor({ state: 'detached' })
})

step('sends files, which the SDK downloads', async () => {
  const files = page.getByLabel('Attach files')
  const pixel = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
  await files.setInputFiles([{ name: 'pixel.png', mimeType: 'image/png', buffer: pixel }, { name: 'wrong.txt', mimeType: 'text/plain', buffer: Buffer.from('no') }])
  await files.setInputFiles([{ name: 'notes+ü & more.txt', mimeType: 'text/plain', buffer: Buffer.from('some notes') }])
  await page.getByRole('button', { name: 'Remove wrong.txt' }).click()
  const before = heard.length
  const sessions = (await control('GET', 'state')).sessions
  await page.getByRole('button', { name: 'Send' }).click()
  const bubble = page.locator('.bubble', { hasText: 'pixel.png' })
  await bubble.getByText('notes+ü & more.txt').waitFor()
  await until(() => heard.length === before + 1, 'Grace hears the message with the files')
  const { attachments } = heard.at(-1).extension
  assert.deepEqual(attachments.map((a) => [a.type, a.name, a['content-type'], a.size]), [['image', 'pixel.png', 'image/png', pixel.length], ['file', 'notes+ü & more.txt', 'text/plain', 10]])
  const contents = await Promise.all(attachments.map(async (a) => Buffer.from(await (await fetch(grace.storage.publicUrl(a.uid))).arrayBuffer())))
  assert.deepEqual(contents, [pixel, Buffer.from('some notes')])
  await page.locator('.composer .attachment').first().waitFor({ state: 'detached' })
  assert.deepEqual((await control('GET', 'state')).sessions, sessions) // that of the upload has ended
})

step('arms a fault, sees it act, and removes it', async () => {
  await go(page, 'Faults')
  await page.getByRole('combobox', { name: 'Kind' }).selectOption('status')
  await page.getByRole('spinbutton', { name: 'Status' }).fill('418')
  await page.getByRole('textbox', { name: 'Path' }).fill('/session')
  await page.getByLabel('Delay before it, ms').fill('5')
  await page.getByRole('button', { name: 'Arm', exact: true }).click()
  await armed().getByText('acted 0 times').waitFor()
  assert.equal((await fetch(sandbox + '/session')).status, 418)
  await armed().getByText('acted 1 time', { exact: true }).waitFor()
  await free(page, /^Remove/)
  await page.getByRole('button', { name: 'Messages arrive twice' }).click()
  await armed().filter({ hasText: 'duplicate' }).waitFor()
  await armed().filter({ hasText: '/session' }).getByRole('button', { name: /Remove/ }).click()
  await armed().filter({ hasText: '/session' }).waitFor({ state: 'detached' })
  assert.equal((await fetch(sandbox + '/session')).status, 401)
  assert.equal(await armed().count(), 1) // the other one stays
  await free(page, /^Remove/)
  await page.getByRole('button', { name: 'Clear all' }).click()
  await page.getByText('the sandbox behaves').waitFor()
})

step('cuts the connections of one user', async () => {
  await page.getByLabel('Of the user').fill(String((await grace.users.getV2({ login: 'grace' })).items[0].id))
  let cut = false // the SDK comes back after a few seconds
  grace.chat.onDisconnectedListener = () => (cut = true)
  await page.getByRole('button', { name: 'Cut now' }).click()
  await until(() => cut, "Grace's SDK loses its connection")
})

step('reads a request, filters, and copies a curl command that works', async () => {
  await api('POST', '/session', { application_id: 1001, auth_key: 'sandbox-auth-key' })
  await go(page, 'Traffic')
  const rows = page.locator('#traffic > li')
  await rows.filter({ hasText: 'Chat' }).first().waitFor()
  await page.getByLabel('Protocol').selectOption('rest')
  await page.getByLabel('Method').selectOption('POST')
  await page.getByLabel('Status').selectOption('2xx')
  await page.getByLabel('Path or stanza').fill('/session')
  await rows.filter({ hasText: 'Chat' }).first().waitFor({ state: 'detached' })
  await rows.filter({ hasNotText: /POST 2\d\d.*\/session/ }).first().waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Pause' }).click()
  await rows.first().getByRole('button').first().click()
  const shown = await rows.first().locator('pre').first().innerText()
  assert.match(shown, /POST \/session[^]*"application_id": 1001[^]*"auth_key": "•••"/)
  const before = await rows.count()
  const { stdout } = await promisify(execFile)('bash', ['-c', `${await copied(page, 'Copy as curl')} -s`])
  assert.match(JSON.parse(stdout).session.token, /^[0-9A-F]{36}$/)
  assert.equal(await rows.count(), before)
  await page.getByRole('button', { name: 'Resume' }).click()
  await until(async () => (await rows.count()) === before + 1, 'the session of the curl command is in the list')
  await page.getByLabel('User', { exact: true }).fill(String(lena))
  await page.getByText('No entry matches.').waitFor() // her session began without a user's token
})

step('finds the push to an absent user in the outbox', async () => {
  await go(page, 'Outbox')
  await page.locator('.items').getByText('Hello back').waitFor() // of Grace to Lena, who is in no chat
  const [dialog] = (await control('GET', 'dialogs')).dialogs
  const [{ id }] = (await control('GET', 'users?search=grace')).users
  await control('POST', `dialogs/${dialog.id}/messages`, { from: id, message: 'Are you there?' }) // not to Grace, whose SDK has come back or not
  await page.locator('.items').getByText('Are you there?').waitFor()
  await page.getByRole('button', { name: 'Empty' }).click()
  await page.getByText('Empty. Pushes').waitFor()
})

step('advances the clock, which ends the session, and comes back', async () => {
  await go(page, 'Clock')
  await page.locator('#ahead').getByText('Real time').waitFor()
  assert.match(await page.locator('#server-clock').innerText(), /does not move its/)
  await page.getByRole('button', { name: '+2 hours' }).click()
  await page.locator('#ahead').getByText('2 hours ahead').waitFor()
  assert.equal((await api('GET', '/session', undefined, token)).status, 401)
  await free(page, 'Back to real time')
  await page.getByLabel('By', { exact: true }).fill('3')
  await page.getByLabel('Unit').selectOption('days')
  await page.getByRole('button', { name: 'Advance', exact: true }).click()
  await page.locator('#ahead').getByText('3 days 2 hours ahead').waitFor()
  await page.getByRole('button', { name: 'Back to real time' }).click()
  await page.locator('#ahead').getByText('Real time').waitFor()
  assert.equal((await control('GET', 'clock')).ahead, '0s')
})

step('disables her, enables her, and deletes her', async () => {
  await go(page, 'Users')
  await page.getByRole('button', { name: 'Lena Example', exact: true }).click()
  await page.getByRole('button', { name: 'Disable' }).click()
  await modal().getByText('This user is disabled').waitFor()
  assert.equal((await logIn('lena')).status, 401)
  await page.getByRole('button', { name: 'Enable' }).click()
  await modal().getByText('This user is disabled').waitFor({ state: 'detached' })
  assert.equal((await logIn('lena')).status, 201)
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Delete Lena Example' }).click()
  await page.getByRole('button', { name: 'Keep' }).click()
  assert.equal((await control('GET', 'users')).total, 2)
  await page.getByRole('button', { name: 'Delete Lena Example' }).click()
  await modal().getByRole('button', { name: 'Delete', exact: true }).click()
  await page.getByRole('button', { name: 'Lena Example', exact: true }).waitFor({ state: 'detached' })
  assert.equal((await control('GET', 'users')).total, 1)
})

step('changes a setting of the application', async () => {
  await go(page, 'Overview')
  await page.getByLabel('Refuse logins of unknown users').check()
  await until(async () => (await control('GET', 'settings')).deny_auto_create, 'the setting is on')
  assert.equal((await logIn('unknown')).status, 404)
  await page.getByLabel('Refuse logins of unknown users').uncheck()
  await until(async () => !(await control('GET', 'settings')).deny_auto_create, 'the setting is off')
})

step('does all that by keyboard, too', async () => {
  await page.reload()
  await page.getByRole('heading', { name: 'Content' }).waitFor()
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim())
  if (await page.getByRole('link', { name: 'cubegate server' }).count()) await page.keyboard.press('Tab') // with a server beside it
  for (const tab of ['Overview', 'Users', 'Chats']) {
    await page.keyboard.press('Tab')
    assert.equal(await focused(), tab)
  }
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Add user' }).focus()
  await page.keyboard.press('Enter')
  await modal().waitFor() // it opens after the next frame
  assert.equal(await page.evaluate(() => document.querySelector('dialog').contains(document.activeElement)), true)
  await page.keyboard.press('Escape')
  await modal().waitFor({ state: 'detached' })
})

test('nothing left the origin, nothing was blocked, nothing was said on the console', () => {
  assert.ok(seen.requests.length > 10)
  // Chromium reports each refusal; the one here is that of the login that another user has.
  assert.deepEqual(seen.console.splice(0), ['error: Failed to load resource: the server responded with a status of 400 (Bad Request)'])
  assertQuiet(seen)
})
