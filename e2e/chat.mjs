// A chat between two people, in two terminals, by cubegate and the official SDK:
//
//   node chat.mjs ada@example.org bob@example.org
//   node chat.mjs bob@example.org ada@example.org
//
// What one types, the other sees. Copy from here what your app needs.

import ConnectyCube from 'connectycube'
import { createInterface } from 'node:readline'

const [me, other] = process.argv.slice(2)
if (!other) {
  console.error('usage: node chat.mjs YOUR-EMAIL THEIR-EMAIL')
  process.exit(1)
}
const password = 'correct horse'

async function cubegate(query, body) {
  const response = await fetch(`${process.env.CUBEGATE_URL ?? 'http://localhost:3000'}/api`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query, variables: { body } }),
  })
  const { data, errors } = await response.json()
  if (errors) throw new Error(errors[0].message, { cause: errors[0].extensions.code })
  return data
}

// Register, or log in if the user exists.
await cubegate('mutation($body: UserRegisterInput!) { register(body: $body) { message } }', {
  email: me, password, firstName: me.split('@')[0], lastName: 'Example',
}).catch((e) => {
  if (e.cause !== 'CONFLICT') throw e
})

const { login } = await cubegate(
  `mutation($body: LoginUserDto!) { login(body: $body) {
    connectySession chatStatus chat { userId domain endpoint wsEndpoint } } }`,
  { email: me, password },
)
if (login.chatStatus !== 'READY') throw new Error(`no chat: ${login.chatStatus}`)

// The SDK goes on with the session that cubegate opened, wherever that was.
const cube = ConnectyCube.default ?? ConnectyCube // Node's import of a CommonJS module
cube.init(
  { appId: 1001, token: login.connectySession },
  {
    endpoints: { api: new URL(login.chat.endpoint).host, api_url: login.chat.endpoint, chat: login.chat.domain, chat_url: login.chat.wsEndpoint },
    chatProtocol: { websocket: login.chat.wsEndpoint, active: 2 }, // SDK 5 and older
    debug: { mode: 0 }, // its default prints tokens
  },
)
cube.chat.onMessageListener = (userId, message) => console.log(`${other}: ${message.body}`)
await cube.chat.connect({ userId: login.chat.userId, password: login.connectySession })

async function find(email) {
  const { items } = await cube.users.getV2({ email })
  return items[0]?.id
}

console.log(`${me} is online. Type to ${other}; Ctrl-D ends.`)
for await (const line of createInterface({ input: process.stdin })) {
  const to = await find(other)
  if (to) cube.chat.send(to, { type: 'chat', body: line, extension: { save_to_history: 1 } })
  else console.log(`${other} has not registered yet`)
}
await cube.chat.disconnect()
