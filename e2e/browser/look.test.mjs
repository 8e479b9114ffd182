// The look of the server's pages: at 1280 and at 390 pixels, dark and light. Nothing is clipped,
// nothing is written too small, and axe-core finds nothing serious. Leaves screenshots in e2e/out.

import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { after, before, test } from 'node:test'
import { url } from '../cubegate.mjs'
import { launch } from './chromium.mjs'
import { assertAccessible, assertQuiet, atRest, watch } from './watch.mjs'

const out = fileURLToPath(new URL('../out/', import.meta.url))
const sizes = {
  desk: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
}

let browser
before(async () => {
  await mkdir(out, { recursive: true })
  browser = await launch(`EXCLUDE ${new URL(url).hostname}`)
})
after(() => browser?.close())

/** Each page with what a person does there first. */
const pages = {
  welcome: { path: '/', ready: 'h1' },
  'welcome-user': {
    path: '/', ready: 'h1',
    async act(page) {
      await page.getByRole('button', { name: 'Register a first user' }).click()
      await page.locator('#user').waitFor()
    },
  },
  reference: { path: '/docs', ready: '.opblock' },
  'reference-login': {
    path: '/docs', ready: '.opblock',
    async act(page) {
      await page.locator('#operations-Login_sessions-login .opblock-summary-control').click()
      await page.locator('.responses-table').first().waitFor()
    },
  },
  'reference-authorize': {
    path: '/docs', ready: '.opblock',
    async act(page) {
      await page.getByRole('button', { name: 'Authorize' }).first().click()
      await page.locator('.auth-container input').waitFor()
    },
  },
  'playground-reply': {
    path: '/api', ready: '.graphiql-query-editor .CodeMirror',
    async act(page) {
      await page.getByRole('list', { name: 'Operations' }).getByRole('button', { name: 'login', exact: true }).click()
      await page.getByRole('button', { name: /^Execute query/ }).click()
      await page.locator('.graphiql-response').getByText('UNAUTHENTICATED').waitFor()
    },
  },
  playground: { path: '/api', ready: '.graphiql-query-editor .CodeMirror' },
}

for (const [name, { path, ready, act }] of Object.entries(pages)) {
  for (const [size, options] of Object.entries(sizes)) {
    for (const colorScheme of ['light', 'dark']) {
      test(`${name} on a ${size}, ${colorScheme}`, async () => {
        const context = await browser.newContext({ ...options, colorScheme })
        const page = await context.newPage()
        const seen = await watch(page)
        await page.goto(url + path)
        await page.locator(ready).first().waitFor()
        await act?.(page)
        await atRest(page)
        await page.screenshot({ path: `${out}${name}-${size}-${colorScheme}.png`, fullPage: name !== 'reference-authorize' })
        assertQuiet(seen, url)
        assert.deepEqual(await clipped(page), [])
        assert.ok(await smallest(page) >= 11, 'text is too small')
        await assertAccessible(page)
        await assertFocusIsVisible(page)
        await context.close()
      })
    }
  }
}

/** Returns what is wider than the window, or than the room that it has without scrolling. */
const clipped = (page) =>
  page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement
    const wide = scrollWidth > clientWidth ? [`the page: ${scrollWidth} > ${clientWidth}`] : []
    for (const element of document.querySelectorAll('header *, main > :not(.graphiql-container) *')) {
      const { left, right, width } = element.getBoundingClientRect()
      const scrolls = element.closest('pre, .cut, .model-box, .examples, [role="tablist"]') // these scroll, or say that they are cut
      if (width > 0 && !scrolls && (left < -1 || right > innerWidth + 1)) wide.push(`${element.tagName}.${element.className} to ${right}`)
    }
    return wide
  })

/** Returns the size of the smallest text in CSS pixels, as the window shows it. */
const smallest = (page) =>
  page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    const sizes = []
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement
      if (walker.currentNode.data.trim() && element.checkVisibility()) sizes.push(parseFloat(getComputedStyle(element).fontSize))
    }
    return (Math.min(...sizes) * innerWidth) / Math.max(innerWidth, document.documentElement.clientWidth)
  })

/** Walks through the first controls with the keyboard. */
async function assertFocusIsVisible(page) {
  await page.mouse.click(1, 1)
  for (let n = 0; n < 6; n++) {
    await page.keyboard.press('Tab')
    await atRest(page) // outlines and shadows may fade in
    const focus = await page.evaluate(() => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement)
      return { element: document.activeElement.outerHTML.slice(0, 120), visible: (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1) || boxShadow !== 'none' }
    })
    assert.ok(focus.visible, `no visible focus: ${focus.element}`)
  }
}
