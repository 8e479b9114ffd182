// A chat between two users, in two terminals, with cubegate and the official SDK:
//
//   node chat.mjs ada@example.org bob@example.org
//   node chat.mjs bob@example.org ada@example.org
//
// Each user sees the lines that the other types. Copy the parts that your app needs.

import { createInterface } from 'node:readline'

const [me, other] = process.argv.slice(2)
if (!other) fail('usage: node chat.mjs YOUR-EMAIL THEIR-EMAIL')
const { default: ConnectyCube } = await import('connectycube').catch(() => fail('The ConnectyCube SDK is missing. Run "npm ci --omit=dev" in the folder of chat.mjs.'))
const password = 'correct horse'
const server = process.env.CUBEGATE_URL ?? 'http://localhost:3000'

/** Ends with a message of one line: a stack would hide it. */
function fail(message) {
  console.error(message)
  process.exit(1)
}

async function cubegate(query, body) {
  const response = await fetch(`${server}/api`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query, variables: { body } }),
  }).catch(() => fail(`No cubegate responds at ${server}. Start one with "go run .", or set CUBEGATE_URL.`))
  const { data, errors } = await response.json().catch(() => fail(`${server} is no cubegate: its reply is not JSON. Set CUBEGATE_URL.`))
  if (errors) throw new Error(errors[0].message, { cause: errors[0].extensions.code })
  return data
}

// Register, or log in if the user exists.
await cubegate('mutation($body: UserRegisterInput!) { register(body: $body) { message } }', {
  email: me, password, firstName: me.split('@')[0], lastName: 'Example',
}).catch((e) => e.cause === 'CONFLICT' || fail(`${me} cannot register: ${e.message}`))

const { login } = await cubegate(
  `mutation($body: LoginUserDto!) { login(body: $body) {
    connectySession chatStatus chat { userId domain endpoint wsEndpoint } } }`,
  { email: me, password },
).catch((e) => fail(`${me} cannot log in: ${e.message}`))
if (login.chatStatus !== 'READY') fail(`There is no chat session: ${login.chatStatus}`)

// The SDK uses the session that cubegate has opened.
const cube = ConnectyCube.default ?? ConnectyCube // Node's import of a CommonJS module
cube.init(
  { appId: 1001, token: login.connectySession },
  {
    endpoints: { api: new URL(login.chat.endpoint).host, api_url: login.chat.endpoint, chat: login.chat.domain, chat_url: login.chat.wsEndpoint },
    chatProtocol: { websocket: login.chat.wsEndpoint, active: 2 }, // SDK 5 and older
    debug: { mode: 0 }, // the default mode prints tokens
  },
)
cube.chat.onMessageListener = (userId, message) => console.log(`${other}: ${message.body}`)
cube.chat.onDisconnectedListener = () => console.log('The connection is lost; the SDK connects again.')
cube.chat.onReconnectListener = () => console.log(`${me} is online again.`)
await cube.chat.connect({ userId: login.chat.userId, password: login.connectySession })

async function find(email) {
  const { items } = await cube.users.getV2({ email })
  return items[0]?.id
}

console.log(`${me} is online. Type to ${other}; Ctrl-D ends the chat.`)
for await (const line of createInterface({ input: process.stdin })) {
  const to = await find(other)
  if (to) cube.chat.send(to, { type: 'chat', body: line, extension: { save_to_history: 1 } })
  else console.log(`${other} has not registered yet`)
}
await cube.chat.disconnect()
