// The helpers of watch.mjs: they judge a state of the page, and not a moment on the way to it.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'
import { assertAccessible, atRest } from './watch.mjs'

let browser, page
before(async () => {
  browser = await launch()
})
after(() => browser?.close())

// Until they have faded in, the words are too pale. Each fade starts the next one, the
// first of them by a script that follows the color scheme, as that of the reference does. The
// spinner never ends.
const fading = `<!doctype html><html lang="en"><title>Fading</title><style>
  * { color: #000; background: #fff }
  p { color: #ddd; transition: color 1s }
  .begun #first, .begun #second.next { color: #000 }
  i { animation: turn 1s linear infinite }
  @keyframes turn { to { transform: rotate(1turn) } }
</style><main><h1>Fading</h1><p id="first">The first words</p><p id="second">The second words</p><i>Spinner</i></main>`

/** Opens the page and starts its fades. */
async function fade(scheme) {
  page = await browser.newPage({ colorScheme: 'light' })
  await page.setContent(fading)
  await page.evaluate(() => {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => document.documentElement.classList.add('begun'))
    document.getElementById('first').addEventListener('transitionend', () => document.getElementById('second').classList.add('next'))
  })
  await page.emulateMedia({ colorScheme: scheme })
}

test('axe-core looks after all fades, and does not wait for a spinner', async () => {
  await fade('dark')
  await assertAccessible(page)
  await page.close()
})

test('axe-core finds what stays too pale', async () => {
  await fade('light') // which starts nothing
  await assert.rejects(assertAccessible(page), /color-contrast/)
  await page.close()
})

test('a page at rest has its last colors', async () => {
  await fade('dark')
  await atRest(page)
  const colors = await page.locator('p').evaluateAll((all) => all.map((p) => getComputedStyle(p).color))
  assert.deepEqual(colors, ['rgb(0, 0, 0)', 'rgb(0, 0, 0)'])
  await page.close()
})
