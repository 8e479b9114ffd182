// What a person does by mistake, and what the dashboard makes of it: double clicks, half names,
// addresses and numbers that mean nothing, and a sandbox that is gone.

import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { control, sandbox } from '../cubegate.mjs'
import { becomes, until } from '../waiting.mjs'
import { api, free, go, logIn, open, password, start } from './dashboard.mjs'

let browser, page

before(async () => {
  browser = await start()
  const person = (login, full_name) => ({ login, full_name, password })
  await control('POST', 'seed', { users: [person('ada', 'Ada Lovelace'), person('grace', 'Grace Hopper'), person('ann1', 'Ann'), person('ann2', 'Ann')] })
  ;({ page } = await open(browser))
})
beforeEach(async () => {
  await page.evaluate(() => sessionStorage.clear())
  await page.goto(sandbox + '/')
})
after(async () => {
  await control('POST', 'reset')
  await browser?.close()
})

const modal = () => page.getByRole('dialog')
const idOf = async (login) => (await control('GET', `users?search=${login}`)).users[0].id

/** Collects the bodies of requests to a path of the control area, for the rest of the test. */
function sent(path) {
  const bodies = []
  page.on('request', (r) => r.method() === 'POST' && r.url().endsWith('/_sandbox/' + path) && bodies.push(r.postDataJSON()))
  return bodies
}

test('a double click acts once', async () => {
  await go(page, 'Faults')
  await page.getByRole('button', { name: 'REST is slow, 3 s' }).evaluate((button) => {
    button.click()
    button.click()
  })
  await page.locator('#faults li').first().waitFor()
  await free(page, /^Remove/)
  assert.equal((await control('GET', 'faults')).faults.length, 1)
  await page.getByRole('button', { name: 'Clear all' }).click()
  await page.locator('#faults li').first().waitFor({ state: 'detached' })
})

test('a reading that is late does not take back what has changed since', async (t) => {
  const held = []
  let release
  t.after(() => {
    release()
    return page.unrouteAll({ behavior: 'wait' })
  })
  const released = new Promise((resolve) => (release = resolve))
  await go(page, 'Faults')
  await page.getByText('None: the sandbox behaves.').waitFor()
  await page.evaluate(() => {
    window.taken = 0
    new MutationObserver((changes) => changes.forEach(({ removedNodes }) => (window.taken += removedNodes.length))).observe(document.getElementById('faults'), { childList: true })
  })
  await page.route('**/_sandbox/faults', async (route) => {
    if (route.request().method() !== 'GET' || held.length === 2) return route.continue()
    held.push(route)
    const response = await route.fetch()
    await released
    await route.fulfill({ response })
  })
  await until(() => held.length === 2, 'the frame and the tab read the faults') // one reading each
  await page.getByRole('button', { name: 'REST is slow, 3 s' }).click()
  await page.locator('#faults li').first().waitFor()
  release()
  for (const route of held) await (await route.request().response())?.finished() // none, if the page has waited too long for it
  await page.waitForResponse((r) => r.url().endsWith('/_sandbox/faults')) // the page has read on
  assert.equal(await page.evaluate(() => window.taken), 0)
  await control('DELETE', 'faults')
})

test('a button that is used by keyboard keeps the focus', async () => {
  await go(page, 'Clock')
  await page.getByRole('button', { name: '+10 minutes' }).focus()
  await page.keyboard.press('Enter')
  await page.locator('#ahead').getByText('10 minutes ahead').waitFor()
  await free(page, 'Back to real time')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), '+10 minutes')
  await page.keyboard.press('Enter')
  await page.locator('#ahead').getByText('20 minutes ahead').waitFor()
  await control('DELETE', 'clock')
})

test('half a name cuts the connections of that user, and never those of all', async () => {
  await go(page, 'Faults')
  const bodies = sent('drop')
  const picker = page.getByLabel('Of the user')
  await picker.fill('lovel')
  await page.getByText(/^Ada Lovelace \(\d+\)$/).waitFor()
  await page.getByRole('button', { name: 'Cut now' }).click()
  for (const [name, said] of [['ann', 'Several users: choose one from the list.'], ['nobody', 'No user has this name.']]) {
    await picker.fill(name)
    await page.getByRole('button', { name: 'Cut now' }).click()
    await page.getByText(said).waitFor()
  }
  await picker.fill('')
  await page.getByText('Empty: of all users.').waitFor()
  await page.getByRole('button', { name: 'Cut now' }).click()
  await becomes(() => bodies, [{ user: await idOf('ada') }, { user: 0 }])
})

test('a fault for a user that does not exist is not armed for all users', async () => {
  await go(page, 'Faults')
  const bodies = sent('faults')
  await page.getByRole('combobox', { name: 'On', exact: true }).selectOption('chat')
  await page.getByLabel('Sent by').fill('nobody')
  await page.getByText('No user has this name.').waitFor()
  await page.getByRole('button', { name: 'Arm', exact: true }).click()
  await page.getByLabel('Sent by').fill('grace')
  await page.getByText(/^Grace Hopper \(/).waitFor()
  await page.getByRole('button', { name: 'Arm', exact: true }).click()
  await page.locator('#faults li').first().waitFor()
  assert.deepEqual(bodies.map((body) => body.user), [await idOf('grace')])
  await control('DELETE', 'faults')
})

test('a chat begins with typed names, and the message keeps the focus', async () => {
  await go(page, 'Chats')
  await page.getByRole('button', { name: 'New chat' }).click()
  await modal().getByLabel('Started by').fill('ada lovelace')
  await modal().getByLabel('With', { exact: true }).fill('grace')
  await modal().getByText(/^Grace Hopper \(/).waitFor()
  await modal().getByText(/^Ada Lovelace \(/).waitFor()
  await page.getByRole('button', { name: 'Create' }).click()
  await page.getByLabel('Message', { exact: true }).fill('Hello')
  await page.getByRole('button', { name: 'Send' }).click()
  await page.locator('.bubble', { hasText: 'Hello' }).waitFor()
  await page.locator('.composer textarea:focus').waitFor() // the bubble may come before the answer to what was sent
  await page.keyboard.type('Hello again')
  await page.keyboard.press('Enter')
  await page.locator('.bubble', { hasText: 'Hello again' }).waitFor()
})

test('the traffic of a user is found by name, and a masked command says what it lacks', async () => {
  const { session } = await logIn('grace')
  await api('GET', '/chat/Dialog', undefined, session.token)
  await go(page, 'Traffic')
  await page.getByLabel('User', { exact: true }).fill('Grace')
  const row = page.locator('#traffic > li', { hasText: '/chat/Dialog' })
  await row.getByText('Grace Hopper').waitFor()
  await row.getByRole('button').first().click()
  await page.getByText('has ••• in place of a secret').waitFor()
})

test('a refusal names no place of the HTTP interface', async () => {
  await go(page, 'Users')
  await page.getByRole('button', { name: 'Add user' }).click()
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  assert.equal(await modal().getByRole('alert').innerText(), 'login or email is required')
})

test('a sandbox that is gone is said in plain words', async (t) => {
  t.after(() => page.context().setOffline(false))
  await go(page, 'Users')
  await page.getByRole('button', { name: 'Add user' }).click()
  await page.context().setOffline(true)
  await modal().getByLabel('Login').fill('late')
  await modal().getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await modal().getByRole('alert').getByText('The sandbox cannot be reached.', { exact: true }).waitFor()
  await page.context().setOffline(false)
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  await modal().waitFor({ state: 'detached' }) // what was typed was still there
})

test('an error that is over leaves the page, although the answer is as before it', async (t) => {
  t.after(() => page.unrouteAll({ behavior: 'wait' }))
  await go(page, 'Users')
  await page.getByRole('button', { name: 'Ada Lovelace', exact: true }).waitFor()
  await page.route('**/_sandbox/users?*', (route) => route.fulfill({ status: 500, json: { error: 'broken for a moment' } }))
  await page.getByRole('alert').getByText('broken for a moment').waitFor()
  await page.unrouteAll({ behavior: 'wait' })
  await page.getByRole('alert').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Ada Lovelace', exact: true }).waitFor()
})

test('what was typed and chosen is there after another tab and after a reload', async () => {
  await control('POST', 'seed', { dialogs: [{ key: 'kept', name: 'Kept', owner: 'ada', occupants: ['grace'] }] })
  const grace = await idOf('grace')
  await go(page, 'Chats')
  await page.getByRole('button', { name: /^Kept/ }).click()
  await page.getByLabel('Message', { exact: true }).fill('Half a sen')
  await page.getByLabel('Write as').selectOption(String(grace))
  await go(page, 'Users')
  await page.getByLabel('Search users').fill('hopper')
  await go(page, 'Traffic')
  await page.getByLabel('Status').selectOption('4xx')
  await page.getByLabel('Path or stanza').fill('/session')
  for (const again of [() => go(page, 'Overview'), () => page.reload()]) {
    await again()
    await go(page, 'Traffic')
    assert.equal(await page.getByLabel('Status').inputValue(), '4xx')
    assert.equal(await page.getByLabel('Path or stanza').inputValue(), '/session')
    await go(page, 'Users')
    assert.equal(await page.getByLabel('Search users').inputValue(), 'hopper')
    await go(page, 'Chats')
    await page.getByRole('heading', { name: 'Kept' }).waitFor()
    assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), 'Half a sen')
    assert.equal(await page.getByLabel('Write as').inputValue(), String(grace))
  }
  await go(page, 'Chats') // its own tab leads back to all of them
  await page.waitForURL((url) => url.hash === '#/chats')
})

test('a user of a link is searched until another one is typed', async () => {
  await page.goto('about:blank')
  await page.goto(`${sandbox}/#/users/${await idOf('ada')}`)
  await page.getByText('1 to 1 of 1').waitFor()
  await page.getByLabel('Search users').fill('grace')
  await page.waitForURL((url) => url.hash === '#/users')
  await page.reload()
  assert.equal(await page.getByLabel('Search users').inputValue(), 'grace')
})

test('an address and a search that mean nothing leave the page as it is', async () => {
  for (const hash of ['#/users/%', '#/%/%', '#/chats/%zz']) {
    await page.goto('about:blank')
    await page.goto(`${sandbox}/${hash}`)
    await page.getByRole('navigation').waitFor()
    assert.equal(await page.getByText('Loading').count(), 0)
  }
  await go(page, 'Users')
  await page.getByLabel('Search users').fill('\u{1F600}'.repeat(5000))
  await page.getByText('No user matches.').waitFor()
})

test('the clock refuses what is more than ten years before it is sent', async () => {
  await go(page, 'Clock')
  for (const [unit, most] of [['minutes', 5_256_000], ['hours', 87_600], ['days', 3_650]]) {
    await page.getByLabel('Unit').selectOption(unit)
    await page.getByLabel('By', { exact: true }).fill(String(most + 1))
    assert.equal(await page.getByLabel('By', { exact: true }).evaluate((input) => input.validity.rangeOverflow), true, unit)
  }
  await page.getByLabel('By', { exact: true }).fill('3650')
  await page.getByRole('button', { name: 'Advance', exact: true }).click()
  await page.locator('#ahead').getByText('3,650 days ahead').waitFor()
  await control('DELETE', 'clock')
})
