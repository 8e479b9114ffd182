// The dashboard with 10,000 of each: the sandbox answers in pages, and the page has few
// elements. No test measures time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { control, sandbox } from '../cubegate.mjs'
import { assertQuiet, go, open, ownBrowser, password } from './dashboard.mjs'

const own = ownBrowser()

test('10,000 users, dialogs, messages and requests stay small pages', async () => {
  await control('POST', 'reset')
  const n = 10_000
  const users = Array.from({ length: n }, (_, i) => ({ id: i + 1, login: `user-${i}`, full_name: `Person ${i}`, password }))
  const groups = Array.from({ length: 2_000 }, (_, i) => ({ key: `g${i}`, name: `Group ${i}`, owner: '1' }))
  const messages = Array.from({ length: n }, (_, i) => ({ dialog: 'big', from: '1', message: `<${i}>` }))
  const big = { key: 'big', name: 'Big', owner: '1', occupants: users.slice(1, 3000).map((u) => String(u.id)) }
  const { dialogs } = await control('POST', 'seed', { users, dialogs: [...groups, big], messages })
  for (let i = 0; i < 120; i++) await control('POST', `dialogs/${dialogs.big}/messages`, { from: 1, message: `push ${i}` })
  for (let i = 0; i < n; i += 100) await Promise.all(Array.from({ length: 100 }, () => fetch(`${sandbox}/session`)))

  const { page, seen } = await open(own.browser)
  const small = async (where) => assert.ok((await page.evaluate(() => document.querySelectorAll('body *').length)) < 2_500, where)
  await go(page, 'Users')
  await page.getByText('1 to 50 of 10,000').waitFor()
  assert.equal(await page.locator('.users tbody tr').count(), 50)
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByText('51 to 100 of 10,000').waitFor()
  await page.getByLabel('Search users').fill('Person 4242')
  await page.getByRole('button', { name: 'Person 4242', exact: true }).waitFor()
  assert.equal(await page.locator('.users tbody tr').count(), 1)
  await small('Users')

  await go(page, 'Chats')
  await page.getByText('1 to 50 of 2,001').waitFor()
  assert.equal(await page.locator('.dialogs li').count(), 50)
  await page.getByRole('button', { name: 'Big' }).click()
  await page.getByText('3,000 users, 10,000 messages').waitFor()
  assert.equal(await page.locator('.bubble').count(), 50)
  assert.equal(await page.getByLabel('Write as').locator('option').count(), 100)
  const newest = await page.locator('.bubble .body').last().innerText()
  await page.getByRole('button', { name: 'Earlier messages' }).click()
  await page.getByRole('button', { name: 'Back to the latest' }).waitFor()
  assert.equal(await page.locator('.bubble').count(), 50)
  await page.getByRole('button', { name: 'Back to the latest' }).click()
  await page.locator('.bubble .body').getByText(newest, { exact: true }).waitFor()
  await small('Chats')

  await go(page, 'Traffic')
  await page.getByText('10,000 entries are kept').waitFor()
  assert.equal(await page.locator('#traffic > li').count(), 100)
  await page.getByRole('button', { name: 'Older' }).click()
  await page.getByRole('button', { name: 'Newer' }).click()
  assert.equal(await page.locator('#traffic > li').count(), 100)
  await small('Traffic')

  await go(page, 'Outbox')
  await page.getByText('1 to 50 of 120').waitFor()
  assert.equal(await page.locator('.items > li').count(), 50)
  await small('Outbox')
  assertQuiet(seen)
  await page.context().close()
})
