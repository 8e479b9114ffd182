// The sandbox's page for people, in a real browser, on a desk and on a phone.
//
// Needs a running sandbox (SANDBOX_URL, default http://127.0.0.1:3001) and
// Chromium (CHROMIUM, default /usr/bin/chromium). Leaves screenshots in e2e/out.
// It empties the sandbox, at the beginning and at the end. The tests are one
// story in one page, so they run in order.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'
import { control, sandbox } from '../cubegate.mjs'

const server = new URL(sandbox)
const out = fileURLToPath(new URL('../out/', import.meta.url))
const patience = 20_000 // ms
const desktop = { width: 1280, height: 800 }
const phone = { width: 390, height: 844 }

// Names that an attacker could choose.
const hostile = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'

let browser, page, seen

before(async () => {
  await mkdir(out, { recursive: true })
  // host.docker.internal is this sandbox as a container calls it
  browser = await launch('MAP elsewhere.test 127.0.0.1', 'MAP host.docker.internal 127.0.0.1', `EXCLUDE ${server.hostname}`)
  await control('POST', 'reset')
  await control('PUT', 'cidp', { enabled: false }) // the users are the seed's, not a server's
  await control('POST', 'seed', {
    users: [
      { login: 'ada', password: 'correct horse', full_name: 'Ada Lovelace', email: 'ada@example.org' },
      { login: 'grace', password: 'correct horse', full_name: 'Grace Hopper', email: 'grace@example.org' },
      { login: 'mallory', password: 'correct horse', full_name: hostile },
    ],
    dialogs: [
      { key: 'team', name: 'Engines ' + hostile, owner: 'ada', occupants: ['grace', 'mallory'] },
      { key: 'two', type: 3, owner: 'ada', occupants: ['grace'] },
    ],
    messages: [
      { dialog: 'team', from: 'ada', message: 'The engine weaves algebraic patterns', ago: '26h', read_by: ['grace'] },
      { dialog: 'team', from: 'mallory', message: hostile, ago: '2h' },
      { dialog: 'two', from: 'grace', message: 'There is a moth in the relay. '.repeat(20) },
    ],
  })
  ;({ page, seen } = await open({ viewport: desktop }))
})

after(async () => {
  await control('POST', 'reset')
  await browser?.close()
})

test('it shows who is there and what was said', async () => {
  await page.getByRole('cell', { name: 'ada@example.org' }).waitFor()
  assert.deepEqual(await counts(page), { users: '3', sessions: '0', sockets: '0', dialogs: '2', messages: '3' })
  await page.locator('#messages').getByText('The engine weaves').waitFor()
  await page.locator('#dialogs').getByText('Ada Lovelace, Grace Hopper').waitFor()
  assert.match(await page.locator('#now').innerText(), /real time/)
})

test('names and messages are text, whatever is in them', async () => {
  assert.equal(await page.locator('#users').getByText(hostile).count(), 1)
  assert.equal(await page.locator('#messages').getByText(hostile).count() > 0, true)
  assert.equal(await page.locator('main img, main script').count(), 0)
  assert.equal(await page.evaluate(() => window.owned), undefined)
})

test('traffic appears as it comes, without its secrets', async () => {
  const user = { login: 'ada', password: 'correct horse' }
  const { session } = await api('POST', '/session', { application_id: 1001, auth_key: 'sandbox-auth-key', user })
  await api('GET', '/users/v2.json?login=' + encodeURIComponent(hostile), undefined, session.token)
  const item = page.locator('#traffic li', { hasText: 'POST 201' })
  await item.locator('summary').click()
  const shown = await item.locator('pre').innerText()
  assert.match(shown, /"login":"ada"/)
  assert.ok(!shown.includes('correct horse') && !shown.includes(session.token) && !shown.includes('sandbox-auth-key'), shown)
  await page.locator('#traffic li', { hasText: '/users/v2.json' }).waitFor()
  await page.locator('#sessions').getByText('Ada Lovelace').waitFor()
  assert.equal(await page.evaluate(() => window.owned), undefined)
})

test('the clock goes forward and ends sessions', async () => {
  await page.getByRole('button', { name: '+2 hours' }).click()
  await page.locator('#now').getByText('2h0m0s ahead').waitFor()
  assert.equal((await counts(page)).sessions, '0')
})

test('faults happen until they are cleared', async () => {
  await page.getByRole('button', { name: 'REST answers 503' }).click()
  await page.locator('#faults').getByText('status · 503').waitFor()
  assert.equal((await fetch(sandbox + '/session')).status, 503)
  await page.getByRole('button', { name: 'Messages arrive twice' }).click()
  await page.locator('#faults').getByText('chat · duplicate').waitFor()
  await page.locator('#traffic li', { hasText: 'GET 503' }).waitFor()
  await page.screenshot({ path: out + 'sandbox.png', fullPage: true })
  await page.getByRole('button', { name: 'Clear faults' }).click()
  await page.locator('#faults li').first().waitFor({ state: 'detached' })
  assert.equal((await fetch(sandbox + '/session')).status, 401)
})

test('pausing and clearing the traffic', async () => {
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('button', { name: 'Clear', exact: true }).click()
  await page.locator('#no-traffic').waitFor()
  await fetch(sandbox + '/session')
  await page.waitForTimeout(2000)
  assert.equal(await page.locator('#traffic li').count(), 0)
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.locator('#traffic li').waitFor()
  await page.getByLabel('REST', { exact: true }).uncheck()
  assert.equal(await page.locator('#traffic li:visible').count(), 0)
  await page.getByLabel('REST', { exact: true }).check()
})

test('it fits a phone', async () => {
  const { page, seen } = await open({ viewport: phone, hasTouch: true, isMobile: true })
  await page.getByRole('cell', { name: 'ada@example.org' }).waitFor()
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), phone.width)
  for (const button of await page.locator('.tools button').all()) {
    const box = await button.boundingBox()
    assert.ok(box.height >= 32 && box.x >= 0 && box.x + box.width <= phone.width, JSON.stringify(box))
  }
  await page.screenshot({ path: out + 'sandbox-phone.png', fullPage: true })
  assertQuiet(seen)
  await page.context().close()
})

test('a name that points here is refused, unless it is known', async () => {
  const { page } = await open({ viewport: desktop }, `http://elsewhere.test:${server.port}/`)
  await page.getByText('does not answer to this Host').waitFor()
  assert.equal(await page.getByText('ada@example.org').count(), 0)
  await page.context().close()
})

test('under another name it asks for the token, and shows nothing', async () => {
  const { page } = await open({ viewport: desktop }, `http://host.docker.internal:${server.port}/`)
  await page.getByRole('heading', { name: 'Control token' }).waitFor()
  assert.equal(await page.locator('#room').isVisible(), false)
  await page.getByLabel('Token').fill('guessed')
  await page.getByRole('button', { name: 'Open' }).click()
  await page.getByText('did not accept the token').waitFor()
  assert.equal(await page.getByText('ada@example.org').count(), 0)
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage })), {})
  await page.screenshot({ path: out + 'sandbox-door.png' })
  await page.context().close()
})

test('a reset is asked for twice, and is one', async () => {
  await page.getByRole('button', { name: 'Reset…' }).click()
  await page.getByRole('button', { name: 'Keep everything' }).click()
  assert.equal((await control('GET', 'state')).users.length, 3)
  await page.getByRole('button', { name: 'Reset…' }).click()
  await page.screenshot({ path: out + 'sandbox-reset.png' })
  await page.getByRole('button', { name: 'Reset', exact: true }).click()
  await page.locator('#n-users').getByText('0', { exact: true }).waitFor()
  assert.equal((await control('GET', 'state')).users.length, 0)
  assert.match(await page.locator('#now').innerText(), /real time/)
})

test('a sandbox that is gone is said to be gone', async () => {
  const { page } = await open({ viewport: desktop })
  await page.context().setOffline(true)
  await page.getByRole('alert').getByText('cannot be reached').waitFor()
  await page.context().setOffline(false)
  await page.getByRole('alert').waitFor({ state: 'hidden' })
  await page.context().close()
})

test('nothing left the origin, nothing was blocked, nothing was said on the console', () => {
  assert.ok(seen.requests.length > 10)
  assertQuiet(seen)
})

async function api(method, path, body, token) {
  const response = await fetch(sandbox + path, {
    method,
    headers: { 'Content-Type': 'application/json', ...(token && { 'CB-Token': token }) },
    body: body && JSON.stringify(body),
  })
  return response.json()
}

async function counts(page) {
  const all = {}
  for (const what of ['users', 'sessions', 'sockets', 'dialogs', 'messages']) all[what] = await page.locator('#n-' + what).innerText()
  return all
}

// open loads the page in a browser profile of its own.
async function open(options, address = sandbox + '/') {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  const seen = await watch(page)
  await page.goto(address)
  return { page, seen }
}

// watch records all that a well-behaved page would not do, from its first line.
async function watch(page) {
  const seen = { requests: [], failures: [], console: [], violations: [] }
  page.context().on('request', (r) => seen.requests.push(r.url()))
  page.on('requestfailed', (r) => seen.failures.push(`${r.url()} ${r.failure()?.errorText}`))
  page.on('console', (m) => seen.console.push(`${m.type()}: ${m.text()}`))
  page.on('pageerror', (e) => seen.console.push(`uncaught: ${e}`))
  await page.exposeFunction('reportViolation', (v) => void seen.violations.push(v))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) =>
      window.reportViolation(`${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`),
    )
  })
  return seen
}

function assertQuiet(seen) {
  assert.deepEqual(seen.requests.filter((url) => !url.startsWith('data:') && new URL(url).origin !== server.origin), [])
  assert.deepEqual(seen.violations, [])
  assert.deepEqual(seen.console, [])
  assert.deepEqual(seen.failures, [])
}
