// urql against /api: its default sends queries with GET.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, fetchExchange } from 'urql'
import { persistedExchange } from '@urql/exchange-persisted'
import { newUser, register, url } from '../cubegate.mjs'
import { hello, login, recorder } from './wire.mjs'

const start = (options = {}, ...before) => {
  const { seen, fetch } = recorder()
  const client = new Client({ url: `${url}/api`, fetch, requestPolicy: 'network-only', exchanges: [...before, fetchExchange], ...options })
  return { seen, client }
}

test('queries by GET, which is the default, and mutations by POST', async () => {
  const { seen, client } = start()
  const { data, error } = await client.query(hello, {}).toPromise()
  assert.ifError(error)
  assert.match(data.hello, /\w/)
  const ada = newUser()
  await register(ada)
  const answer = await client.mutation(login, { body: { email: ada.email, password: ada.password } }).toPromise()
  assert.ifError(answer.error)
  assert.equal(answer.data.login.user.email, ada.email)
  assert.deepEqual(seen.map(({ method, status }) => [method, status]), [['GET', 200], ['POST', 200]])
})

test('errors have their codes', async () => {
  const { client } = start()
  const { error } = await client.query('query { nope }', {}).toPromise()
  assert.equal(error.graphQLErrors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
})

for (const preferGetForPersistedQueries of [true, false]) {
  test(`persisted queries, preferring ${preferGetForPersistedQueries ? 'GET' : 'POST'}`, async () => {
    const { seen, client } = start({ preferGetMethod: false }, persistedExchange({ preferGetForPersistedQueries, enableForMutation: true }))
    const query = `query Urql${preferGetForPersistedQueries} { hello }`
    for (let i = 0; i < 2; i++) {
      const { data, error } = await client.query(query, {}).toPromise()
      assert.ifError(error)
      assert.match(data.hello, /\w/)
    }
    const sent = ({ method, url, body }) => (method === 'GET' ? url.searchParams.get('query') : JSON.parse(body).query)
    assert.deepEqual(seen.map((one) => !sent(one)), [true, false, true])
    assert.equal(seen.at(-1).method, preferGetForPersistedQueries ? 'GET' : 'POST')
    assert.ok(seen.every(({ status }) => status === 200))

    const ada = newUser()
    await register(ada)
    for (let i = 0; i < 2; i++) {
      const answer = await client.mutation(login, { body: { email: ada.email, password: ada.password } }).toPromise()
      assert.ifError(answer.error)
    }
  })
}
