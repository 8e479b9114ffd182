// `cubegate sandbox --tls`: what it prints for JavaScript is pasted and run, in a
// process that trusts the authority as it is told to.
//
// Needs a cubegate to start (CUBEGATE_BINARY).

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { banner, found, start, stop } from '../process.mjs'
import { patience } from '../waiting.mjs'

// Two users of one process chat, and what arrives is printed.
const script = (snippet) => `
import SDK from ${JSON.stringify(import.meta.resolve('connectycube'))}
const { ConnectyCube: Class } = SDK.default ?? SDK
async function enter(login) {
  const ConnectyCube = new Class()
  ${snippet}
  ConnectyCube.chat.xmppClient.timeout = ${patience} // for a handshake; its own two seconds are little on a busy machine
  const session = await ConnectyCube.createSession({ login, password: 'secret-secret' })
  await ConnectyCube.chat.connect({ userId: session.user_id, password: session.token })
  await ConnectyCube.chat.ping()
  return [ConnectyCube, session.user_id]
}
const [[ada], [bob, id]] = [await enter('ada'), await enter('bob')]
const body = await new Promise((resolve) => {
  bob.chat.onMessageListener = (_, message) => resolve(message.body)
  ada.chat.send(id, { type: 'chat', body: 'over TLS' })
})
await Promise.all([ada.chat.disconnect(), bob.chat.disconnect()])
console.log('\\narrived: ' + body)
`

describe('the sandbox over TLS', () => {
  let folder, server, printed

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'cubegate-tls-'))
    server = start(process.env.CUBEGATE_BINARY, ['sandbox', '--tls'], folder)
    printed = await banner(server)
    const snippet = found(printed, /(ConnectyCube\.init\([^]*?\n  \))/)
    await writeFile(path.join(folder, 'app.mjs'), script(snippet))
  })
  after(async () => {
    await stop(server).finally(() => rm(folder, { recursive: true, force: true }))
  })

  const run = (env) =>
    promisify(execFile)(process.execPath, ['app.mjs'], { cwd: folder, env: { PATH: process.env.PATH, ...env }, timeout: 2 * patience })

  test('the printed lines work for who trusts the authority', async () => {
    const { stdout } = await run({ NODE_EXTRA_CA_CERTS: found(printed, /NODE_EXTRA_CA_CERTS=(\S+)/) })
    assert.match(stdout, /^arrived: over TLS$/m)
  })

  test('they do not for who does not', async () => {
    await assert.rejects(run({}), /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE/)
  })
})
