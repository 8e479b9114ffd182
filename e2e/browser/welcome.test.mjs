// The first page in a real browser: its links, and its button.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { logIn, sandbox, url } from '../cubegate.mjs'
import { becomes } from '../waiting.mjs'
import { launch } from './chromium.mjs'
import { assertQuiet, watch } from './watch.mjs'

let browser, page, seen

before(async () => {
  browser = await launch(`EXCLUDE ${new URL(url).hostname}`, `EXCLUDE ${new URL(sandbox).hostname}`)
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'] })
  page = await context.newPage()
  seen = await watch(page)
  await page.goto(url + '/')
})
after(() => browser?.close())

const shown = (id) => page.locator(`#${id}`).innerText()

test('it says what runs, and leads to the other pages', async () => {
  const text = await page.locator('main').innerText()
  for (const part of ['embedded', `sandbox at ${sandbox}`, 'application 1001']) assert.ok(text.includes(part), part)
  for (const [name, path] of Object.entries({ Playground: `${url}/api`, 'API reference': `${url}/docs`, Dashboard: `${sandbox}/` })) {
    const link = page.getByRole('navigation').getByRole('link', { name })
    assert.equal(await link.evaluate((a) => a.href), path)
    assert.equal((await fetch(path, { headers: { Accept: 'text/html' } })).status, 200, path)
  }
})

test('the keyboard reaches the button, which registers a user', async () => {
  const button = page.getByRole('button', { name: 'Register a first user' })
  for (let n = 0; n < 10 && !(await button.evaluate((b) => b === document.activeElement)); n++) await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.locator('#user').waitFor()
  const email = await shown('email')
  const login = await logIn({ email, password: await shown('password') })
  assert.equal(login.user.email, email)
  assert.equal(login.chatStatus, 'READY')
})

test('the curl line works as it stands', async () => {
  const { stdout } = await promisify(execFile)('bash', ['-c', await shown('curl')])
  assert.equal(JSON.parse(stdout).email, await shown('email'))
})

test('each button copies what is beside it', async () => {
  for (const [name, id] of Object.entries({ 'Copy the email': 'email', 'Copy the password': 'password', 'Copy the access token': 'token', 'Copy the command': 'curl' })) {
    await page.getByRole('button', { name }).click()
    await page.getByRole('status').getByText('Copied.').waitFor() // or was, by the button before
    await becomes(() => page.evaluate(() => navigator.clipboard.readText()), await page.locator(`#${id}`).textContent(), id)
  }
})

let emails // of the two users

test('a second user is another one, also by name', async () => {
  const before = await shown('email')
  await page.getByRole('button', { name: 'Register another user' }).click()
  await page.waitForFunction((email) => document.getElementById('email').textContent !== email, before)
  emails = [before, await shown('email')]
  assert.deepEqual(emails.map((email) => email.split('-')[0]), ['ada', 'grace'])
})

test('the page keeps nothing, asks no other host, and breaks no policy', async () => {
  assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie), '{}')
  assertQuiet(seen, url)
})

test('a refusal is shown', async () => {
  await page.route('**/auth/register', (route) =>
    route.fulfill({ status: 429, contentType: 'application/problem+json', body: JSON.stringify({ detail: 'Too many registrations', code: 'RATE_LIMITED' }) }),
  )
  await page.getByRole('button', { name: 'Register another user' }).click()
  await page.getByRole('alert').getByText('The registration failed: Too many registrations (RATE_LIMITED)').waitFor()
})

test('a server that does not answer, and the page of a proxy, are said in plain words', async () => {
  const answers = { 'the server does not answer': (route) => route.abort(), 'the server answered with status 502': (route) => route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad gateway</h1>' }) }
  for (const [text, answer] of Object.entries(answers)) {
    await page.unroute('**/auth/register')
    await page.route('**/auth/register', answer)
    await page.getByRole('button', { name: 'Register another user' }).click()
    await page.getByRole('alert').getByText(text).waitFor()
  }
})

test('the links to what to do next leave the page, and so the password, where they are', async () => {
  for (const name of ['playground', 'API reference', 'dashboard']) {
    const opened = page.context().waitForEvent('page')
    await page.locator('#user').getByRole('link', { name, exact: true }).click()
    await (await opened).close()
    assert.match(await shown('password'), /^\w{16}$/)
  }
})

test('the two users chat in the dashboard', async () => {
  const opened = page.context().waitForEvent('page')
  await page.getByRole('link', { name: "dashboard's chats" }).click()
  const dashboard = await opened
  await dashboard.getByRole('button', { name: 'New chat' }).click()
  await dashboard.getByLabel('Started by').fill(emails[0])
  await dashboard.getByLabel('With', { exact: true }).fill(emails[1])
  await dashboard.getByText(/^Ada Lovelace \(/).waitFor()
  await dashboard.getByText(/^Grace Hopper \(/).waitFor()
  await dashboard.getByRole('button', { name: 'Create' }).click()
  await dashboard.getByLabel('Message', { exact: true }).fill('Hello Grace')
  await dashboard.getByRole('button', { name: 'Send' }).click()
  await dashboard.locator('.bubble', { hasText: 'Hello Grace' }).waitFor()
  await dashboard.close()
})

test('the dashboard leads back', async () => {
  const dashboard = await browser.newPage()
  await dashboard.goto(`${sandbox}/`)
  const link = dashboard.getByRole('banner').getByRole('link', { name: 'cubegate server' })
  await link.click()
  await dashboard.getByRole('heading', { name: 'cubegate is running' }).waitFor()
  await dashboard.close()
})

test('without JavaScript it shows what to do', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const bare = await context.newPage()
  await bare.goto(url + '/')
  assert.ok(await bare.locator('noscript p').isVisible())
  await context.close()
})
