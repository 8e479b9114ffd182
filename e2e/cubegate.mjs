// What tests say to a running cubegate and to its sandbox.

import { randomUUID } from 'node:crypto'
import assert from 'node:assert/strict'
import { patience } from './waiting.mjs'

export const url = process.env.CUBEGATE_URL ?? 'http://127.0.0.1:3000'
export const sandbox = process.env.SANDBOX_URL ?? 'http://127.0.0.1:3001'

export const password = 'correct horse'

/** What an app tells the SDK of the application. */
export const config = {
  appId: 1001,
  endpoints: { api_url: sandbox, chat: 'chat.connectycube.com', chat_url: `${sandbox.replace('http', 'ws')}/chat` },
  debug: { mode: 0 },
  timeout: patience,
}

/** Returns the data of a new user. */
export function newUser() {
  return { email: `ada-${randomUUID()}@example.org`, firstName: 'Ada', lastName: 'Lovelace', password }
}

/** Asks one document and returns its data; an error of the API is an error. */
export async function ask(query, variables) {
  const response = await fetch(`${url}/api`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = await response.json()
  assert.equal(errors, undefined, JSON.stringify(errors))
  return data
}

const fields = '{ message token connectySession ccUserId chatStatus chatTicket user { id email } }'

export async function register(person) {
  const data = await ask(
    'mutation($body: UserRegisterInput!) { register(body: $body) { message user { id email } } }',
    { body: person },
  )
  return data.register.user
}

/** operation is login or login_By_token. */
export async function logIn(person, operation = 'login') {
  const data = await ask(`mutation($body: LoginUserDto!) { answer: ${operation}(body: $body) ${fields} }`, {
    body: { email: person.email, password: person.password },
  })
  return data.answer
}

/** Talks to the sandbox's control area. */
export async function control(method, path, body) {
  const response = await fetch(`${sandbox}/_sandbox/${path}`, {
    method,
    headers: body ? { 'Content-Type': 'application/json' } : {},
    body: body && JSON.stringify(body),
  })
  const text = await response.text()
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
  return text ? JSON.parse(text) : undefined
}

/** Cuts the chat's sockets of one user or of all users. */
export const drop = (user = 0) => control('POST', 'drop', { user })

/** Makes the chat's sockets of a user fall silent without closing. */
export const halfOpen = (user) => control('POST', 'half-open', { user })

/** The settings for ConnectyCube's dashboard in docs/identity-provider.md, by method. */
export const cidp = {
  POST: {
    enabled: true,
    method: 'POST',
    url: `${url}/auth/verify-connectycube`,
    headers: { 'X-CIdP-Secret': process.env.CONNECTYCUBE_CIDP_SECRET ?? '' },
    request_params: { token: '#{login}', email: '#{email}', password: '#{password}' },
    response_params: { uid: '#{user.id}' },
  },
  GET: {
    enabled: true,
    method: 'GET',
    url: `${url}/auth/verify-connectycube`,
    request_params: { token: '#{login}' },
    response_params: { uid: '#{user.id}' },
  },
  off: { enabled: false },
}
