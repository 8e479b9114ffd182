// The dashboard of the sandbox in a browser, for the tests of it.

import { mkdir } from 'node:fs/promises'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { control, sandbox } from '../cubegate.mjs'
import { until } from '../waiting.mjs'
import { launch } from './chromium.mjs'
import { assertQuiet as assertQuietAt, watch } from './watch.mjs'

export const out = fileURLToPath(new URL('../out/', import.meta.url))
export const server = new URL(sandbox)
export const desktop = { viewport: { width: 1280, height: 800 } }
export const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
export const tabs = ['Overview', 'Users', 'Chats', 'Traffic', 'Outbox', 'Faults', 'Clock']
export const password = 'correct horse'

/** Text that an attacker could choose as a name, a message, or the name of a file. */
export const hostile = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'
export const turned = '\u202Elive\u202C ليلى'

/** Starts a browser, and empties the sandbox, whose users are then a seed's and not a server's. */
export async function start() {
  await mkdir(out, { recursive: true })
  // host.docker.internal is this sandbox as a container calls it
  const browser = await launch('MAP elsewhere.test 127.0.0.1', 'MAP host.docker.internal 127.0.0.1', `EXCLUDE ${server.hostname}`)
  await control('POST', 'reset')
  await control('PUT', 'cidp', { enabled: false })
  return browser
}

/** Gives the tests of a file or a suite a browser and an empty sandbox: its field browser is set before the first test. */
export function ownBrowser() {
  const own = {}
  before(async () => {
    own.browser = await start()
  })
  after(async () => {
    await control('POST', 'reset')
    await own.browser?.close()
  })
  return own
}

/** Opens the dashboard in a browser profile of its own. */
export async function open(browser, options = desktop, address = sandbox + '/') {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const seen = await watch(page)
  await page.goto(address)
  return { page, seen }
}

/** Waits until the page says that it has copied, and returns what. */
export async function copied(page, name) {
  await page.evaluate(() => navigator.clipboard.writeText('nothing yet'))
  await page.getByRole('button', { name }).click()
  const text = () => page.evaluate(() => navigator.clipboard.readText())
  await until(async () => (await text()) !== 'nothing yet', `the button ${name} copies`)
  return text()
}

/**
 * Waits until no act runs: while one does, the page drops others, and a button with this
 * name cannot be used. What an act has done may be in the page before it has ended.
 */
export const free = (page, name) => page.getByRole('button', { name, disabled: false }).first().waitFor()

export const go = (page, tab) => page.getByRole('navigation').getByRole('link', { name: tab }).click()

/** Fills the sandbox with what a team would have. Returns the IDs. */
export async function furnish() {
  const names = ['Ada Lovelace', 'Grace Hopper', 'Alan Turing', 'Margaret Hamilton', 'Edsger Dijkstra', 'Barbara Liskov']
  const login = (name) => name.split(' ')[0].toLowerCase()
  const seeded = await control('POST', 'seed', {
    users: names.map((name) => ({ login: login(name), full_name: name, email: `${login(name)}@example.org`, password })),
    dialogs: [
      { key: 'release', name: 'Release 1.0', owner: 'margaret', occupants: ['ada', 'alan', 'barbara'] },
      { key: 'two', type: 3, owner: 'ada', occupants: ['grace'] },
    ],
    messages: [
      { dialog: 'release', from: 'alan', message: 'The tests are green. Shall we ship?', ago: '26h', read_by: ['ada', 'barbara', 'margaret'] },
      { dialog: 'release', from: 'margaret', message: 'Priority displays first, then yes.', ago: '25h', read_by: ['ada'] },
      { dialog: 'two', from: 'grace', message: 'There is a moth in the relay.', ago: '40m', read_by: ['ada'] },
      { dialog: 'two', from: 'ada', message: 'Then it is a bug! Can you tape it into the log book?', ago: '31m', read_by: ['grace'] },
    ],
  })
  const [ada, grace] = seeded.users
  await control('POST', `dialogs/${seeded.dialogs.two}/messages`, { from: grace, message: 'Done, with a photo.', attachments: [{ type: 'image', name: 'moth-1947.png', size: '20480', url: `${sandbox}/blobs/moth` }] })
  return { ada, grace, ...seeded }
}

/** Adds hostile content of each kind. Returns the dialog that has it. */
export async function poison() {
  const { users, dialogs } = await control('POST', 'seed', {
    users: [
      { login: 'mallory', password, full_name: hostile, external_id: hostile },
      { login: 'layla', password, full_name: turned },
      { login: 'huge', password, full_name: 'W'.repeat(200), email: `${'w'.repeat(60)}@${'w'.repeat(60)}.example.org` },
    ],
    dialogs: [
      { key: 'bad', name: hostile, owner: 'mallory', occupants: ['layla', 'huge'] },
      { key: 'long', name: 'W'.repeat(1000), owner: 'mallory', occupants: ['huge'] },
    ],
    messages: [
      { dialog: 'bad', from: 'mallory', message: hostile, ago: '2h' },
      { dialog: 'bad', from: 'layla', message: turned + 'y'.repeat(3000), ago: '1h' },
      { dialog: 'bad', from: 'huge', message: 'W'.repeat(9000) },
    ],
  })
  const attachments = [{ type: hostile, name: hostile, url: 'javascript:window.owned=1' }, { type: 'file', name: turned + 'W'.repeat(300), url: `data:text/html,${hostile}` }]
  await control('POST', `dialogs/${dialogs.bad}/messages`, { from: users[0], message: 'files', attachments })
  await fetch(`${sandbox}/users/v2.json?login=${encodeURIComponent(hostile)}`)
  await fetch(`${sandbox}/${'w'.repeat(900)}`, { method: 'POST', body: `{"full_name":${JSON.stringify(hostile)}}`, headers: { 'CB-SDK': hostile } })
  await control('POST', 'faults', { kind: 'status', status: 500, path: `/${'w'.repeat(400)}`, delay_ms: 0, times: 0 })
  return dialogs.bad
}

/** Asks the REST API. */
export async function api(method, path, body, token) {
  const response = await fetch(sandbox + path, {
    method,
    headers: { 'Content-Type': 'application/json', ...(token && { 'CB-Token': token }) },
    body: body && JSON.stringify(body),
  })
  return { status: response.status, ...(await response.json().catch(() => ({}))) }
}

/** Logs a user in and answers with the status and the session. */
export const logIn = (login, word = password) => api('POST', '/session', { application_id: 1001, auth_key: 'sandbox-auth-key', user: { login, password: word } })

/** Fails if the page has asked another host, broken its policy, or said something on the console. */
export const assertQuiet = (seen) => assertQuietAt(seen, server)
