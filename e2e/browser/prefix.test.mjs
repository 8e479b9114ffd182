// The pages behind a proxy that adds a path prefix, and a script of another origin, in a
// real browser.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { after, before, test } from 'node:test'
import { url } from '../cubegate.mjs'
import { launch } from './chromium.mjs'

let browser, proxy, origin

before(async () => {
  browser = await launch(`EXCLUDE ${new URL(url).hostname}`, 'EXCLUDE 127.0.0.1')
  proxy = http.createServer((request, response) => {
    if (request.url === '/') return response.setHeader('Content-Type', 'text/html').end('<title>An app</title><link rel="icon" href="data:,">')
    if (!request.url.startsWith('/chat/')) return response.writeHead(404).end()
    const { hostname, port } = new URL(url)
    const options = { hostname, port, method: request.method, path: request.url.slice('/chat'.length), headers: request.headers }
    const passed = http.request(options, (answer) => answer.pipe(response.writeHead(answer.statusCode, answer.headers)))
    passed.on('error', () => response.destroy()) // the page shows it; unheard, it would end this process
    request.pipe(passed)
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  origin = `http://127.0.0.1:${proxy.address().port}`
})
after(async () => {
  await browser?.close()
  proxy?.close()
})

async function open(address) {
  const page = await browser.newPage()
  const complaints = []
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('response', (response) => response.status() >= 400 && complaints.push(`${response.status()} ${response.url()}`))
  await page.goto(address)
  return { page, complaints }
}

for (const path of ['/chat/api', '/chat/api/', '/chat/API']) {
  test(`the playground at ${path}`, async () => {
    const { page, complaints } = await open(origin + path)
    await page.locator('.graphiql-execute-button').click()
    await page.locator('.result-window').getByText('Hello from API!').waitFor()
    assert.deepEqual(complaints, [])
    await page.close()
  })
}

for (const path of ['/chat/docs', '/chat/docs/']) {
  test(`the reference at ${path}`, async () => {
    const { page, complaints } = await open(origin + path)
    await page.locator('[id$="-jwks"] .opblock-summary-control').click()
    const answered = page.waitForResponse(`${origin}/chat/.well-known/jwks.json`)
    await page.getByRole('button', { name: 'Execute' }).click()
    assert.equal((await answered).status(), 200)
    await page.getByRole('link', { name: 'openapi.json' }).click()
    await page.waitForURL(`${origin}/chat/openapi.json`)
    const described = JSON.parse(await page.locator('body').innerText())
    const server = new URL(described.servers[0].url, page.url())
    assert.equal(new URL('auth/me', server).href, `${origin}/chat/auth/me`)
    assert.deepEqual(complaints, [])
    await page.close()
  })
}

test('the first page registers a user and leads to the playground', async () => {
  const { page, complaints } = await open(`${origin}/chat/`)
  await page.getByRole('button', { name: 'Register a first user' }).click()
  await page.locator('#user').waitFor()
  assert.match(await page.locator('#curl').innerText(), new RegExp(`^curl ${origin}/chat/auth/me `))
  await page.getByRole('navigation').getByRole('link', { name: 'Playground' }).click()
  await page.waitForURL(`${origin}/chat/api`)
  await page.locator('header').getByRole('link', { name: 'Start' }).click()
  await page.waitForURL(`${origin}/chat/`)
  assert.deepEqual(complaints, [])
  await page.close()
})

test('a script of another origin may send any header, and query with GET', async () => {
  const { page, complaints } = await open(`${origin}/`)
  const answers = await page.evaluate(async (api) => {
    const headers = { 'sentry-trace': '1', baggage: 'a=b', 'apollographql-client-name': 'app', 'X-Requested-With': 'XMLHttpRequest', 'Cache-Control': 'no-cache', Authorization: 'Bearer x' }
    const post = { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify({ query: '{ hello }' }) }
    const get = `${api}?query=${encodeURIComponent('{ hello }')}`
    const fetched = []
    for (const [input, init] of [[api, post], [get, { headers }], [get, {}]]) fetched.push(await (await fetch(input, init)).text())
    return fetched
  }, `${url}/api`)
  for (const answer of answers) assert.match(answer, /Hello from API!/)
  assert.deepEqual(complaints, [])
  await page.close()
})

test('a page cannot load a query as an image or a script', async () => {
  const { page } = await open(`${origin}/`)
  const address = `${origin}/chat/api?query=${encodeURIComponent('{ hello }')}`
  for (const tag of ['img', 'script']) {
    const answered = page.waitForResponse((response) => response.url() === address)
    await page.evaluate(([tag, src]) => document.body.append(Object.assign(document.createElement(tag), { src })), [tag, address])
    assert.equal((await answered).status(), 403, tag)
  }
  await page.close()
})
