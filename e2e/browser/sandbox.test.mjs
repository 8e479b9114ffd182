// Who may see the dashboard of the sandbox, and what it says when it cannot be seen.
//
// Needs a running sandbox (SANDBOX_URL, default http://127.0.0.1:3001) and Chromium
// (CHROMIUM, default /usr/bin/chromium). It empties the sandbox, at the beginning and at
// the end.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { control, sandbox } from '../cubegate.mjs'
import { assertQuiet, desktop, furnish, go, logIn, open, out, server, start } from './dashboard.mjs'

let browser
before(async () => {
  browser = await start()
  await furnish()
})
after(async () => {
  await control('POST', 'reset')
  await browser?.close()
})

test('traffic appears as it comes, without its secrets, and stops while it is paused', async () => {
  const { page, seen } = await open(browser)
  await go(page, 'Traffic')
  const { session } = await logIn('ada')
  const row = page.locator('#traffic > li', { hasText: 'POST 201' })
  await row.getByRole('button').first().click()
  await row.locator('pre').first().waitFor()
  const shown = await row.innerText()
  assert.match(shown, /"login": "ada"/)
  assert.ok(!shown.includes('correct horse') && !shown.includes(session.token) && !shown.includes('sandbox-auth-key'), shown)
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('button', { name: 'Clear', exact: true }).click()
  await page.getByText('Nothing yet.').waitFor()
  await fetch(sandbox + '/session')
  const later = page.waitForResponse((r) => r.url().endsWith('/_sandbox/overview')) // other readings go on
  await later
  assert.equal(await page.locator('#traffic > li').count(), 0)
  await page.getByRole('button', { name: 'Resume' }).click()
  await page.locator('#traffic > li').first().waitFor()
  assertQuiet(seen)
  await page.context().close()
})

test('a name that points here is refused, unless it is known', async () => {
  const { page } = await open(browser, desktop, `http://elsewhere.test:${server.port}/`)
  await page.getByText('does not answer to this Host').waitFor()
  assert.equal(await page.getByText('ada@example.org').count(), 0)
  await page.context().close()
})

test('under another name it asks for the token, and shows nothing', async () => {
  const { page } = await open(browser, desktop, `http://host.docker.internal:${server.port}/#/users`)
  await page.getByRole('heading', { name: 'Control token' }).waitFor()
  assert.equal(await page.getByRole('navigation').count(), 0)
  await page.getByLabel('Token').fill('guessed')
  await page.getByRole('button', { name: 'Open' }).click()
  await page.getByText('did not accept the token').waitFor()
  assert.equal(await page.getByText('ada@example.org').count(), 0)
  assert.deepEqual(await page.evaluate(() => ({ ...localStorage })), {})
  await page.screenshot({ path: out + 'dashboard-door.png' })
  await page.context().close()
})

test('a sandbox that is gone is said to be gone', async () => {
  const { page } = await open(browser)
  await page.locator('#snippet').waitFor()
  await page.context().setOffline(true)
  await page.getByRole('alert').getByText('cannot be reached').waitFor()
  await page.context().setOffline(false)
  await page.getByRole('alert').waitFor({ state: 'hidden' })
  await page.context().close()
})

test('a reset is asked for twice, and is one', async () => {
  const { page, seen } = await open(browser)
  await page.getByRole('button', { name: 'Reset…' }).click()
  await page.getByRole('button', { name: 'Keep' }).click()
  assert.equal((await control('GET', 'users')).total, 6)
  await page.getByRole('button', { name: 'Reset…' }).click()
  await page.getByRole('button', { name: 'Reset', exact: true }).click()
  await page.locator('#n-users').getByText('0', { exact: true }).waitFor()
  assert.equal((await control('GET', 'users')).total, 0)
  assertQuiet(seen)
  await page.context().close()
})
