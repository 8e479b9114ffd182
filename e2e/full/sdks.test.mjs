// Old and new versions of the official SDK against `cubegate sandbox --tls`, with the lines
// that it prints. Nothing leaves this machine: each app runs in a process that refuses other
// hosts and names them.
//
// Needs a cubegate to start (CUBEGATE_BINARY).

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { banner, found, start, stop } from '../process.mjs'
import { patience } from '../waiting.mjs'

// connectycube of a package-lock, by a name for each version.
const sdks = ['connectycube-4', 'connectycube-5', 'connectycube-6', 'react-native-connectycube']

// One user of cubegate logs in at the address that a person would type, and writes to himself by
// what docs/phones.md tells an app to do with the answer.
const app = (sdk, server, lines) => `
import SDK from ${JSON.stringify(sdk)}
const { ConnectyCube: Class } = SDK.default ?? SDK
const ConnectyCube = new Class()
const post = async (route, body) => {
  const headers = { 'Content-Type': 'application/json' }
  return (await fetch(${JSON.stringify(server)} + route, { method: 'POST', headers, body: JSON.stringify(body) })).json()
}
const person = { email: ${JSON.stringify(`${sdk}@example.org`)}, password: 'correct horse' }
try {
  await post('/auth/register', { ...person, firstName: 'Ada', lastName: 'Lovelace' })
  const login = await post('/auth/login', person)
  console.log('\\nendpoint: ' + login.chat.endpoint)
  ${lines}
  const dialogs = await ConnectyCube.chat.dialog.list({})
  await ConnectyCube.chat.ping()
  console.log('\\narrived: ' + dialogs.items.length)
} catch (e) {
  console.log('\\nfailed: ' + (e.code ?? '') + ' ' + (e.cause?.code ?? '') + ' ' + e.message)
}
process.exit(0)
`

// Two users of one process chat, and what arrives is printed.
const script = (sdk, init) => `
import SDK from ${JSON.stringify(sdk)}
const { ConnectyCube: Class } = SDK.default ?? SDK
async function enter(login) {
  const ConnectyCube = new Class()
  ${init}
  const session = await ConnectyCube.createSession({ login, password: 'secret-secret' })
  await ConnectyCube.chat.connect({ userId: session.user_id, password: session.token })
  return [ConnectyCube, session.user_id]
}
try {
  const [[ada], [bob, id]] = [await enter('ada'), await enter('bob')]
  const body = await new Promise((resolve) => {
    bob.chat.onMessageListener = (_, message) => resolve(message.body)
    ada.chat.send(id, { type: 'chat', body: 'hello' })
  })
  console.log('\\narrived: ' + body)
} catch (e) {
  console.log('\\nfailed: ' + (e.code ?? '') + ' ' + (e.cause?.code ?? '') + ' ' + e.message)
}
process.exit(0)
`

let folder, lines
const running = [] // cubegates
const said = {} // their banners

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'cubegate-sdks-'))
  await symlink(path.join(import.meta.dirname, 'node_modules'), path.join(folder, 'node_modules'))
  lines = found(await readFile(path.join(import.meta.dirname, '../../docs/phones.md'), 'utf8'), /```js run-by=\S+\n([^]*?)```/)
  for (const [name, args] of Object.entries({ secure: ['sandbox', '--tls'], plain: ['sandbox'], server: ['--tls'] })) {
    running.push(start(process.env.CUBEGATE_BINARY, args, folder))
    said[name] = await banner(running.at(-1))
  }
})
after(async () => {
  await Promise.all(running.map((child) => stop(child))).finally(() => rm(folder, { recursive: true, force: true }))
})

/** Runs a script and returns what it prints. */
async function run(text) {
  const file = path.join(folder, 'app.mjs')
  await writeFile(file, text)
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--experimental-websocket', '--import', path.join(import.meta.dirname, 'only-here.mjs'), file],
    { cwd: folder, env: { PATH: process.env.PATH, NODE_EXTRA_CA_CERTS: found(said.secure, /NODE_EXTRA_CA_CERTS=(\S+)/) }, timeout: patience },
  )
  return stdout
}

const snippet = (text) => found(text, /(ConnectyCube\.init\([^]*?\n  \))/)

for (const sdk of sdks) {
  test(`${sdk} chats with the printed lines, and nothing leaves this machine`, async () => {
    const out = await run(script(sdk, snippet(said.secure)))
    assert.doesNotMatch(out, /^refused:/m)
    assert.match(out, /^arrived: hello$/m)
  })

  test(`${sdk} without TLS chats or fails, and nothing leaves this machine`, async () => {
    const out = await run(script(sdk, snippet(said.plain)))
    assert.doesNotMatch(out, /^refused:/m)
    assert.match(out, sdk === 'connectycube-6' ? /^arrived: hello$/m : /^failed: /m)
  })

  test(`${sdk} chats after a login by what docs/phones.md says`, async () => {
    const at = found(said.server, /playground +(https:\S+)\/api\n/)
    for (const host of ['localhost', '127.0.0.1']) {
      const out = await run(app(sdk, at.replace('127.0.0.1', host), lines))
      assert.doesNotMatch(out, /^refused:/m)
      assert.ok(out.includes(`\nendpoint: https://${host}:`), out)
      assert.match(out, /^arrived: 0$/m)
    }
  })

  // these show that the hook sees what the SDK does
  test(`${sdk} without endpoints.api goes to the real ConnectyCube`, async () => {
    const out = await run(script(sdk, snippet(said.secure).replace(/ api: '[^']*',/, '')))
    assert.match(out, /^refused: api\.connectycube\.com$/m)
    assert.doesNotMatch(out, /^arrived/m)
  })

  test(`${sdk} without chatProtocol goes to the real chat before SDK 6`, async () => {
    const out = await run(script(sdk, snippet(said.secure).replace(/ *chatProtocol:.*\n/, '')))
    if (sdk === 'connectycube-6') return assert.match(out, /^arrived: hello$/m)
    assert.match(out, /^refused: chat\.connectycube\.com$/m)
    assert.doesNotMatch(out, /^arrived/m)
  })
}
