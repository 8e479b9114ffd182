// Two tabs of one app, in Chromium, on one localStorage: they use the recipe of
// docs/login-sessions.md while their ConnectyCube sessions expire again and again, one
// answer in five gets lost, and one request in five is delivered twice. No login may be lost.
//
// Needs a running cubegate (CUBEGATE_URL, SANDBOX_URL) and Chromium.

import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { launch } from './chromium.mjs'
import { servePages } from './pages.mjs'
import { config, control, newUser, password, register, url } from '../cubegate.mjs'

const served = {
  '/': ['text/html', () => '<!doctype html><title>tab</title><script src="sdk.js"></script><script type="module" src="tab.mjs"></script>'],
  '/sdk.js': ['text/javascript', () => readFile(fileURLToPath(import.meta.resolve('connectycube/umd')))],
  '/tab.mjs': ['text/javascript', () => readFile(new URL('tab.mjs', import.meta.url))],
  '/recipe.mjs': ['text/javascript', () => readFile(new URL('../recipe.mjs', import.meta.url))],
}

let browser, pages, origin

before(async () => {
  pages = await servePages(served)
  origin = `http://127.0.0.1:${pages.address().port}`
  browser = await launch('EXCLUDE 127.0.0.1', 'EXCLUDE localhost')
})
after(async () => {
  await browser?.close()
  pages?.close()
  await control('POST', 'reset')
})

/** A tab of the app. */
async function tab(context, options) {
  const page = await context.newPage()
  await page.goto(origin)
  await page.waitForFunction(() => 'work' in window)
  await page.evaluate((o) => window.open(o), { server: url, config, ...options })
  return page
}

/** Returns a function that says yes to one question of each five, chance says to which. */
function oneOfFive() {
  let answers = []
  return () => {
    if (answers.length === 0) {
      answers = Array(5).fill(false)
      answers[randomInt(5)] = true
    }
    return answers.pop()
  }
}

/** Two tabs of one browser, logged in once. */
async function twoTabs(options) {
  const context = await browser.newContext()
  const [isLost, isDoubled] = [oneOfFive(), oneOfFive()]
  await context.exposeFunction('fate', () => ({ lost: isLost(), doubled: isDoubled() }))
  const person = newUser()
  await register(person)
  const first = await tab(context, options)
  await first.evaluate(([email, password]) => window.start(email, password), [person.email, password])
  return { context, tabs: [first, await tab(context, options)] }
}

const stored = (page) => page.evaluate(() => JSON.parse(localStorage.getItem('login')))

for (const [expiries, options, how] of [[50, {}, 'under navigator.locks'], [10, { withoutLocks: true }, 'where there are no locks']]) {
  test(`${expiries} expiries ${how}: no login is lost`, { timeout: 840_000 }, async () => {
    const { context, tabs } = await twoTabs(options)
    assert.equal(await tabs[0].evaluate(() => typeof navigator.locks), options.withoutLocks ? 'undefined' : 'object')
    const { sessionId } = await stored(tabs[0])
    const counts = { refreshes: 0, lost: 0, doubled: 0 }
    const count = async (page) => {
      assert.deepEqual(await page.evaluate(() => window.over), [])
      for (const [name, n] of Object.entries(await page.evaluate(() => window.counts))) counts[name] += n
    }
    for (let n = 1; n <= expiries; n++) {
      await control('POST', 'clock', { advance: '2h1m' })
      const busy = n % 3 === 0 ? [tabs[n % 2]] : tabs // sometimes a tab sleeps
      await Promise.all(busy.map((page) => page.evaluate(() => window.work())))
      if (n % 7 === 0) { // a tab is closed, and another one is opened
        await count(tabs[1])
        await tabs[1].close()
        tabs[1] = await tab(context, options)
      }
    }
    for (const page of tabs) await count(page)
    const state = await stored(tabs[0])
    assert.equal(state.sessionId, sessionId)
    const response = await fetch(`${url}/auth/me`, { headers: { Authorization: `Bearer ${state.token}` } })
    assert.equal(response.status, 200)
    assert.ok(counts.refreshes >= expiries && counts.lost > 0 && counts.doubled > 0, JSON.stringify(counts))
    await context.close()
  })
}

test('a logout in one tab ends the login of the other', async () => {
  const { context, tabs } = await twoTabs({})
  const { refreshToken } = await stored(tabs[0])
  await tabs[0].evaluate(() => window.login.logout())
  assert.equal((await stored(tabs[1])).refreshToken, undefined)
  const failed = await tabs[1].evaluate(() => window.login.refresh().catch((e) => e.over))
  assert.equal(failed, true)
  assert.equal((await tabs[1].evaluate(() => window.over)).length, 1)
  const response = await fetch(`${url}/auth/refresh`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ refreshToken }),
  })
  assert.equal(response.status, 401)
  await context.close()
})
