// Names, messages and files of any kind in the dashboard. With DASHBOARD_PNG=FILE the test
// also writes the screenshot of the documentation to FILE.

import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { test } from 'node:test'
import { control, sandbox } from '../cubegate.mjs'
import { assertQuiet, desktop, furnish, go, hostile, open, ownBrowser, poison } from './dashboard.mjs'

const most = 150_000 // bytes of the screenshot of the documentation

const own = ownBrowser()

test('the documentation has a screenshot', { skip: !process.env.DASHBOARD_PNG && 'without DASHBOARD_PNG' }, async () => {
  const { dialogs, grace } = await furnish()
  const { page } = await open(own.browser, { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }, `${sandbox}/#/chats/${dialogs.two}`)
  await page.locator('.bubble').nth(2).waitFor()
  await control('PUT', `dialogs/${dialogs.two}/typing`, { user: grace, typing: true })
  await page.getByText('Grace Hopper is typing…').waitFor()
  await page.screenshot({ path: process.env.DASHBOARD_PNG })
  assert.ok((await stat(process.env.DASHBOARD_PNG)).size <= most)
  await page.context().close()
  await control('POST', 'reset')
})

test('names, messages and files of any kind are text, and no link runs a script', async () => {
  await control('POST', 'reset')
  const bad = await poison()
  const { page, seen } = await open(own.browser, desktop, `${sandbox}/#/chats/${bad}`)
  await page.locator('.bubble .body').getByText(hostile, { exact: true }).waitFor()
  await page.locator('.attachment').getByText(hostile).first().waitFor()
  await page.locator('.pane-head').getByText(hostile, { exact: true }).waitFor()
  assert.deepEqual(await page.locator('.bubble a').count(), 0)
  await go(page, 'Users')
  await page.getByRole('button', { name: hostile, exact: true }).waitFor()
  for (const link of await page.locator('a').all()) assert.match(await link.getAttribute('href'), /^(#|\/|https?:)/)
  assert.equal(await page.evaluate(() => window.owned), undefined)
  assertQuiet(seen)
  await page.context().close()
})
