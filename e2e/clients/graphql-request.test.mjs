// graphql-request against /api, with POST and with GET.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientError, GraphQLClient } from 'graphql-request'
import { newUser, register, url } from '../cubegate.mjs'
import { hello, login } from './wire.mjs'

for (const method of ['POST', 'GET']) {
  test(`queries by ${method}`, async () => {
    const client = new GraphQLClient(`${url}/api`, { method, jsonSerializer: JSON })
    assert.match((await client.request(hello)).hello, /\w/)
    await assert.rejects(client.request('query { me { id } }'), (e) => e instanceof ClientError && e.response.errors[0].extensions.code === 'UNAUTHENTICATED')
  })
}

test('a login, and a query with its token', async () => {
  const ada = newUser()
  await register(ada)
  const client = new GraphQLClient(`${url}/api`)
  const { login: answer } = await client.request(login, { body: { email: ada.email, password: ada.password } })
  client.setHeader('Authorization', `Bearer ${answer.token}`)
  assert.equal((await client.request('{ me { email } }')).me.email, ada.email)
})

test('a batch is refused with a sentence', async () => {
  const client = new GraphQLClient(`${url}/api`)
  await assert.rejects(client.batchRequests([{ document: hello }, { document: hello }]), /send each operation in a request of its own/)
})
