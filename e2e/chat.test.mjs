// chat.mjs as the README uses it: two users in two terminals.

import { test } from 'node:test'
import assert from 'node:assert/strict'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { newUser, register } from './cubegate.mjs'
import { banner, freePort, start, stop } from './process.mjs'
import { terminal } from './terminal.mjs'
import { patience } from './waiting.mjs'

test('two users chat in two terminals', { timeout: 3 * patience }, async (t) => {
  const [ada, bob] = [newUser().email, newUser().email]
  const terminals = [chat(t, ada, bob), chat(t, bob, ada)]
  await Promise.all(terminals.map((term) => term.shows(/is online/)))
  terminals[0].types('Hello Bob! 🦀 <b>')
  await terminals[1].shows(`${ada}: Hello Bob! 🦀 <b>\n`)
  terminals[1].types('Hello Ada!')
  await terminals[0].shows(`${bob}: Hello Ada!\n`)
  assert.deepEqual(await Promise.all(terminals.map((term) => term.ends())), [0, 0])
})

test('a chat tells that the connection is lost, and goes on after a restart of the server', { timeout: 3 * patience }, async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'cubegate-restart-'))
  const env = { PORT: String(await freePort()), SANDBOX_PORT: String(await freePort()) }
  const startHere = async () => {
    const server = start(process.env.CUBEGATE_BINARY, [], folder, env)
    await banner(server)
    return server
  }
  let server = await startHere()
  t.after(() => stop(server).then(() => rm(folder, { recursive: true })))
  const [ada, bob] = [newUser().email, newUser().email]
  const here = { CUBEGATE_URL: `http://127.0.0.1:${env.PORT}` }
  const terminals = [chat(t, ada, bob, here), chat(t, bob, ada, here)]
  await Promise.all(terminals.map((term) => term.shows(/ is online\. Type/)))
  await stop(server)
  await Promise.all(terminals.map((term) => term.shows('The connection is lost; the SDK connects again.\n')))
  server = await startHere()
  await Promise.all(terminals.map((term) => term.shows(/ is online again\.\n/)))
  terminals[0].types('Still there?')
  await terminals[1].shows(`${ada}: Still there?\n`)
  assert.deepEqual(await Promise.all(terminals.map((term) => term.ends())), [0, 0])
})

test('without a server, chat.mjs says so in one line', { timeout: 3 * patience }, async (t) => {
  const nowhere = `http://127.0.0.1:${await freePort()}`
  const term = chat(t, 'ada@example.org', 'bob@example.org', { CUBEGATE_URL: nowhere })
  assert.equal(await term.ends(), 1)
  assert.equal(term.screen(), `No cubegate responds at ${nowhere}. Start one with "go run .", or set CUBEGATE_URL.\n`)
})

test('without the SDK, chat.mjs says so in one line', { timeout: 3 * patience }, async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'cubegate-chat-'))
  t.after(() => rm(folder, { recursive: true }))
  await copyFile(path.join(import.meta.dirname, 'chat.mjs'), path.join(folder, 'chat.mjs'))
  const term = terminal(t, process.execPath, [path.join(folder, 'chat.mjs'), 'ada@example.org', 'bob@example.org'])
  assert.equal(await term.ends(), 1)
  assert.equal(term.screen(), 'The ConnectyCube SDK is missing. Run "npm ci --omit=dev" in the folder of chat.mjs.\n')
})

test('an email that is taken with another password is refused in one line', { timeout: 3 * patience }, async (t) => {
  const ada = newUser()
  await register({ ...ada, password: 'another horse' })
  const term = chat(t, ada.email, 'bob@example.org')
  assert.equal(await term.ends(), 1)
  assert.equal(term.screen(), `${ada.email} cannot log in: Invalid email or password\n`)
})

function chat(t, me, other, env = {}) {
  return terminal(t, process.execPath, [path.join(import.meta.dirname, 'chat.mjs'), me, other], { env: { ...process.env, ...env } })
}
