// Official SDKs that use the recipe of docs/login-sessions.md keep their chat while their
// ConnectyCube sessions expire again and again, one reply in five gets lost, to the app
// and to cubegate, and one app in five is killed and restarts from its saved state.
//
//	EXPIRIES_CLIENTS=200 EXPIRIES=20 node e2e/run.mjs --limit 1200 expiries
//
// The test advances the sandbox's clock by two hours.

import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import SDK from 'connectycube'
import { config, control, drop, newUser, register, url } from './cubegate.mjs'
import { Chat, Login } from './recipe.mjs'
import { mended } from './sdk/mended.mjs'
import { patience, until } from './waiting.mjs'

const { ConnectyCube } = SDK.default ?? SDK
const clients = Number(process.env.EXPIRIES_CLIENTS ?? 60)
const expiries = Number(process.env.EXPIRIES ?? 6)
const lost = 0.2

// The SDK prints each refused connection, and drops promises of sockets that close.
const complain = console.error
console.error = (...words) => {
  if (words[0] !== '[Chat] xmppClient.start error') complain(...words)
}
process.on('unhandledRejection', (e) => {
  if (!/not connected|not open|closing|socket|timeout/i.test(e?.message ?? e)) throw e
})

let refreshes = 0
let lostAnswers = 0

let apps = 0

/** A device, with what it has saved. */
class Device {
  async comeIn() {
    const person = newUser()
    await register(person)
    const login = new Login(url, this.#app())
    await login.start(person.email, person.password, { name: 'expiries' })
    await this.#chat(login)
    return this
  }

  /** The app is killed: nothing that it was about to do happens any more. */
  async restart() {
    this.app.dead = true
    await this.chat.close()
    const login = new Login(url, { ...this.#app(), state: this.saved })
    await login.ready()
    await this.#chat(login)
  }

  #app() {
    const app = (this.app = {})
    const never = new Promise(() => {})
    return {
      lock: `app ${++apps}`, // a killed app holds none
      save: async (state) => (app.dead ? never : (this.saved = state)),
      /** A network that loses answers: the server has done its work by then. */
      fetch: async (address, request) => {
        if (app.dead) return never
        const response = await fetch(address, request)
        if (app.dead) return never
        if (address.endsWith('/auth/refresh')) {
          refreshes++
          if (Math.random() < lost) {
            lostAnswers++
            await response.text()
            throw new TypeError('fetch failed')
          }
        }
        return response
      },
    }
  }

  async #chat(login) {
    this.chat = new Chat(new ConnectyCube(), login, config)
    mended(this.chat.cube)
    await this.chat.connect()
  }
}

/** Works at things, a few at once, as a machine of two cores likes it. */
async function each(list, work, width = 20) {
  const rest = [...list.entries()]
  const results = []
  await Promise.all(Array.from({ length: width }, async () => {
    for (let next; (next = rest.shift()); ) results[next[0]] = await work(next[1], next[0])
  }))
  return results
}

const all = []
after(async () => {
  await control('DELETE', 'faults')
  await each(all, ({ chat }) => chat.close())
  await control('POST', 'reset') // so many expired passwords make the chat wary of this machine
})

test(`${clients} devices come in`, async () => {
  // Few at once: the server refuses passwords that would wait too long for their hashes.
  await each(Array.from({ length: clients }), async () => all.push(await new Device().comeIn()), 3)
  await control('POST', 'faults', { method: 'GET', path: '/session', kind: 'lost-answer', probability: lost, seed: 7 })
  await control('POST', 'faults', { method: 'POST', path: '/session', kind: 'lost-answer', probability: lost, seed: 8 })
})

let failures = 0
for (let n = 1; n <= expiries; n++) {
  test(`expiry ${n}: no client notices`, async () => {
    const heard = new Map()
    await control('POST', 'clock', { advance: '2h1m' })
    await drop()
    await each(all, async (device, i) => {
      const seen = (what) => (e) => {
        failures++
        complain(`device ${i}, ${what}:`, e?.message ?? e)
      }
      if (i % 5 === n % 5) await device.restart().catch(seen('restart'))
      const { chat } = device
      chat.cube.chat.onMessageListener = (_, message) => heard.set(i, message.body)
      // Two calls at once: one refresh must do for both, and for the chat.
      await Promise.all([
        chat.call((cube) => cube.chat.dialog.list()).catch(seen('dialogs')),
        chat.call((cube) => cube.users.getV2({ id: chat.login.state.chat.userId })).catch(seen('users')),
      ])
      for (const deadline = Date.now() + patience; ; await sleep(20)) {
        try {
          if (!chat.cube.chat.isConnected) throw new Error('not there yet') // the SDK's ping would leave a promise behind
          await chat.cube.chat.ping()
          break
        } catch (e) {
          if (Date.now() > deadline) {
            seen('chat')(e)
            break
          }
        }
      }
    })
    await each(all, async ({ chat }, i) => {
      const next = all[(i + 1) % all.length].chat
      chat.cube.chat.send(next.login.state.chat.userId, { type: 'chat', body: `expiry ${n} from ${i}`, extension: {} })
    })
    await until(() => heard.size === all.length, 'each device gets a message')
    assert.equal(failures, 0)
  })
}

test('answers were lost, and no user was logged out', () => {
  console.log(`${clients} devices, ${expiries} expiries: ${refreshes} refreshes, ${lostAnswers} answers lost, ${failures} visible failures`)
  assert.ok(lostAnswers > 0)
  assert.ok(refreshes >= clients * expiries)
})
