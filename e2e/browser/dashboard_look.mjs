// The checks of each tab of the dashboard in one color scheme: nothing is clipped, axe-core
// finds nothing serious, and content of any kind is text. They leave screenshots in
// e2e/out, at 1280 and 390 pixels.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { control, sandbox } from '../cubegate.mjs'
import { assertQuiet, desktop, furnish, go, hostile, logIn, open, out, ownBrowser, phone, poison, tabs, turned } from './dashboard.mjs'
import { assertAccessible, atRest } from './watch.mjs'

/** Elements whose content is wider than they are. Those that end in an ellipsis say so, and show all elsewhere. */
const clipped = () => {
  const wider = (e) => e.scrollWidth > e.clientWidth + 1
  const apart = (e) => getComputedStyle(e).textOverflow === 'ellipsis' || getComputedStyle(e).display === 'inline' || e.clientWidth <= 1 || e.matches('input, select, textarea')
  return [document.documentElement, ...document.querySelectorAll('body *')].filter((e) => wider(e) && !apart(e)).map((e) => `${e.tagName} ${e.className}: ${e.scrollWidth} > ${e.clientWidth}`)
}

/** Buttons, links and inputs that lie outside of the window. */
const outside = () => [...document.querySelectorAll('button, a, input, select, textarea')].filter((e) => {
  const box = e.getBoundingClientRect()
  return box.width > 0 && (box.left < 0 || box.right > innerWidth + 1)
}).map((e) => e.outerHTML.slice(0, 100))

async function assertFits(page, where) {
  await atRest(page)
  assert.deepEqual(await page.evaluate(clipped), [], `${where} is clipped`)
  assert.deepEqual(await page.evaluate(outside), [], `${where} is outside`)
}

/** Declares the tests for a color scheme, each with a browser of the file's. */
export function looksRight(scheme) {
  const own = ownBrowser()
  for (const [name, device] of Object.entries({ desktop, phone })) {
    test(`each tab fits a ${name}, ${scheme}, with content of any kind, and is accessible`, async () => {
      await control('POST', 'reset')
      await furnish()
      const bad = await poison()
      await logIn('ada')
      await control('POST', 'clock', { advance: '2h' })
      const { page, seen } = await open(own.browser, { ...device, colorScheme: scheme })
      const look = async (where) => {
        await assertFits(page, where)
        await assertAccessible(page)
        await page.screenshot({ path: `${out}dashboard-${where}-${device.viewport.width}-${scheme}.png`, fullPage: true })
      }
      const ready = { Users: '.users tbody tr', Chats: '.dialogs button', Traffic: '#traffic > li', Outbox: '.items > li', Faults: '#faults li', Clock: '#now', Overview: '#snippet' }
      for (const tab of tabs) {
        await go(page, tab)
        await page.locator(ready[tab]).first().waitFor()
        if (tab === 'Traffic') {
          await page.locator('#traffic > li > button').nth(1).click()
          await page.locator('.opened pre').first().waitFor()
        }
        await look(tab.toLowerCase())
      }
      await page.goto(`${sandbox}/#/chats/${bad}`)
      await page.locator('.bubble').nth(3).waitFor()
      await look('conversation')
      await page.getByLabel('Attach files').setInputFiles(['W'.repeat(300), hostile.replaceAll('/', ' '), turned].map((name) => ({ name, mimeType: 'text/plain', buffer: Buffer.from('x') })))
      await page.locator('.composer .attachment').nth(2).waitFor()
      await look('attachments')
      for (const [tab, button, where] of [['Users', 'Add user', 'add-user'], ['Users', turned, 'user'], ['Users', `Sign in as ${hostile}`, 'sign-in'], ['Chats', 'New chat', 'new-chat'], ['Overview', 'Reset…', 'reset']]) {
        await go(page, tab)
        await page.getByRole('button', { name: button, exact: true }).click()
        await page.getByRole('dialog').waitFor() // it opens after the next frame, and Escape closes only an open one
        if (where === 'user') await page.getByRole('dialog').getByText('Last request').or(page.getByRole('dialog').getByText('Created')).first().waitFor()
        await look(where)
        await page.keyboard.press('Escape')
        await page.getByRole('dialog').waitFor({ state: 'detached' })
      }
      assert.equal(await page.evaluate(() => window.owned), undefined)
      assert.equal(await page.locator('main img, main script, main iframe').count(), 0)
      assertQuiet(seen)
      await page.context().close()
    })
  }
}
