// The page of the REST API in a real browser, on a desk and on a phone.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { url } from '../cubegate.mjs'
import { launch } from './chromium.mjs'

const out = fileURLToPath(new URL('../out/', import.meta.url))
let browser

before(async () => {
  await mkdir(out, { recursive: true })
  browser = await launch(`EXCLUDE ${new URL(url).hostname}`)
})
after(() => browser?.close())

for (const [name, viewport] of Object.entries({ desk: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } })) {
  test(`the page can be read on a ${name}`, async () => {
    const page = await browser.newPage({ viewport })
    const complaints = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(`${url}/docs`)
    const described = await (await fetch(`${url}/openapi.json`)).json()
    for (const path of Object.keys(described.paths)) assert.ok(await page.getByText(path, { exact: true }).first().isVisible(), path)
    await page.getByRole('link', { name: 'Problem' }).first().click()
    assert.ok(page.url().endsWith('#Problem'))
    assert.ok(await page.locator('#Problem').isVisible())
    for (const id of await page.locator('a[href^="#"]').evaluateAll((links) => links.map((a) => a.getAttribute('href')))) {
      assert.equal(await page.locator(`[id="${id.slice(1)}"]`).count(), 1, id)
    }
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it is wider than the window')
    await page.screenshot({ path: `${out}docs-${name}.png` })
    assert.deepEqual(complaints, [])
    await page.close()
  })
}
