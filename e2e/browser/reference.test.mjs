// The API reference in a real browser: what it shows of each operation, and the requests
// that it sends.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { newUser, register, url } from '../cubegate.mjs'
import { banner, found, start, stop } from '../process.mjs'
import { launch } from './chromium.mjs'
import { assertAccessible, assertQuiet, watch } from './watch.mjs'

let browser, page, seen, described, token
const person = newUser()

before(async () => {
  browser = await launch(`EXCLUDE ${new URL(url).hostname}`)
  page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage()
  seen = await watch(page)
  described = await (await fetch(`${url}/openapi.json`)).json()
  await register(person)
  await page.goto(`${url}/docs`)
  await page.locator('.opblock').first().waitFor()
})
after(() => browser?.close())

/** Opens an operation and returns its block. */
async function operation(id) {
  const block = page.locator(`[id$="-${id}"].opblock`)
  await block.locator('.opblock-summary-control').click()
  await block.locator('.responses-table').first().waitFor()
  return block
}

/** Closes an operation. */
async function close(block) {
  await block.locator('.opblock-summary-control').click()
  await block.locator('.responses-table').first().waitFor({ state: 'detached' })
}

/** Sends the request of a block and returns the answer, once the block shows it: until then it shows an older one. */
async function execute(block) {
  const answered = page.waitForResponse((r) => r.url().includes('/auth/'))
  await block.getByRole('button', { name: 'Execute' }).click()
  const response = await answered
  await block.locator('.live-responses-table .response-col_status').getByText(String(response.status())).waitFor()
  return { status: response.status(), body: await response.json().catch(() => undefined) }
}

test('it begins with the accounts, and has every operation', async () => {
  const tags = await page.locator('.opblock-tag').evaluateAll((all) => all.map((tag) => tag.dataset.tag))
  assert.deepEqual(tags, described.tags.map(({ name }) => name))
  assert.equal(tags[0], 'Accounts')
  const shown = await page.locator('.opblock').evaluateAll((all) =>
    all.map((b) => `${b.querySelector('.opblock-summary-method').textContent} ${b.querySelector('.opblock-summary-path').dataset.path}`),
  )
  const want = Object.entries(described.paths).flatMap(([path, methods]) => Object.keys(methods).map((m) => `${m.toUpperCase()} ${path}`))
  assert.deepEqual(shown.sort(), want.sort())
})

test('it says which code comes when, with an example', async () => {
  const block = await operation('refresh')
  const row = block.locator('tr[data-code="401"]')
  assert.match(await row.innerText(), /UNAUTHENTICATED: the server does not know[^]*STALE_REFRESH_TOKEN: the token was replaced within the last 30 seconds/)
  await row.locator('.examples-select select, .examples__select select, select').last().selectOption({ label: 'STALE_REFRESH_TOKEN' })
  await row.getByText('"STALE_REFRESH_TOKEN"').waitFor()
  await close(block)
})

test('a login authorizes the other operations', async () => {
  const me = await operation('me')
  assert.equal((await execute(me)).status, 401)

  const login = await operation('login')
  await login.locator('textarea').fill(JSON.stringify({ email: person.email, password: person.password }))
  const { status, body } = await execute(login)
  assert.equal(status, 200)
  assert.equal(body.user.email, person.email)
  token = body.token

  const reply = await execute(me)
  assert.equal(reply.status, 200)
  assert.equal(reply.body.email, person.email)
})

test('axe-core finds nothing serious beside an answer', async () => {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    await assertAccessible(page)
  }
})

test('a pasted token works, also with the word Bearer and with quotes', async () => {
  const dialog = page.locator('.auth-btn-wrapper')
  const me = page.locator('[id$="-me"].opblock')
  for (const pasted of [token, `Bearer ${token}`, ` "${token}" `]) {
    await page.locator('.auth-wrapper > .authorize').click()
    await dialog.getByRole('button', { name: 'Logout' }).click()
    await page.locator('.auth-container input').fill(pasted)
    await dialog.getByRole('button', { name: 'Authorize' }).click()
    await page.locator('.btn-done').click()
    assert.equal((await execute(me)).status, 200, pasted)
  }
})

test('the examples are the user of the README', async () => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  for (const example of ['Registration', 'Credentials']) {
    const { email, password } = described.components.examples[example].value
    assert.ok(readme.includes(`"email": "${email}", "password": "${password}"`), example)
  }
})

test('without its description the page says what is wrong', async () => {
  const other = await browser.newPage()
  await other.route('**/openapi.json', (route) => route.abort())
  await other.goto(`${url}/docs`)
  await other.getByRole('alert').getByText('cannot be loaded: the server does not answer').waitFor()
  assert.equal(await other.getByText('Loading').count(), 0)
  await other.close()
})

test('the token is gone after a reload', async () => {
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie)
  assert.equal(stored, '{}')
})

test('a link leads to one operation', async () => {
  await page.goto('about:blank')
  await page.goto(`${url}/docs#/Login%20sessions/refresh`)
  await page.locator('[id$="-refresh"].is-open').waitFor()
})

test('it sends requests to its own server if PUBLIC_URL names another', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'cubegate-reference-'))
  const server = start(process.env.CUBEGATE_BINARY, [], folder, { PUBLIC_URL: 'https://elsewhere.example/x' })
  t.after(async () => {
    await stop(server)
    await rm(folder, { recursive: true, force: true })
  })
  const at = found(await banner(server), /(http:\S+)\/api\n/)
  const other = await browser.newPage()
  const complaints = []
  other.on('console', (m) => complaints.push(m.text()))
  await other.goto(`${at}/docs`)
  await other.locator('[id$="-jwks"] .opblock-summary-control').click()
  const answered = other.waitForResponse(`${at}/.well-known/jwks.json`)
  await other.getByRole('button', { name: 'Execute' }).click()
  assert.equal((await answered).status(), 200)
  assert.deepEqual(complaints, [])
  await other.close()
})

test('it asks no other host and breaks no policy', () => {
  const refused = /^error: Failed to load resource: the server responded with a status of 401/ // that of the test above
  seen.console = seen.console.filter((line) => !refused.test(line))
  assertQuiet(seen, url)
})
