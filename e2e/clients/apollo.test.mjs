// Apollo Client against /api: plain, with GET, and with automatic persisted queries.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { BatchHttpLink } from '@apollo/client/link/batch-http'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { newUser, register, url } from '../cubegate.mjs'
import { hello, login, recorder } from './wire.mjs'

const uri = `${url}/api`
const sha256 = (text) => createHash('sha256').update(text).digest('hex')
const client = (link) => new ApolloClient({ link, cache: new InMemoryCache(), clientAwareness: { name: 'e2e', version: '1' } })
const fresh = { fetchPolicy: 'no-cache' }

test('queries, mutations and errors', async () => {
  const { seen, fetch } = recorder()
  const apollo = client(new HttpLink({ uri, fetch }))
  assert.match((await apollo.query({ query: gql(hello), ...fresh })).data.hello, /\w/)
  const ada = newUser()
  await register(ada)
  const body = { email: ada.email, password: ada.password }
  const { data } = await apollo.mutate({ mutation: gql(login), variables: { body } })
  assert.equal(data.login.user.email, ada.email)
  await assert.rejects(
    apollo.mutate({ mutation: gql(login), variables: { body: { ...body, password: 'wrong' } } }),
    (e) => CombinedGraphQLErrors.is(e) && e.errors[0].extensions.code === 'UNAUTHENTICATED',
  )
  assert.ok(seen.every(({ method }) => method === 'POST'))
})

test('queries by GET, mutations by POST', async () => {
  const { seen, fetch } = recorder()
  const apollo = client(new HttpLink({ uri, fetch, useGETForQueries: true }))
  assert.match((await apollo.query({ query: gql(hello), ...fresh })).data.hello, /\w/)
  await assert.rejects(apollo.mutate({ mutation: gql('mutation { logout { message } }') }))
  assert.deepEqual(seen.map(({ method, status }) => [method, status]), [['GET', 200], ['POST', 200]])
  assert.equal(seen[0].cache, 'no-store')
  assert.match(seen[0].vary, /Authorization, Accept/)
})

for (const useGETForHashedQueries of [false, true]) {
  test(`persisted queries by ${useGETForHashedQueries ? 'GET' : 'POST'}`, async () => {
    const { seen, fetch } = recorder()
    const link = new PersistedQueryLink({ sha256, useGETForHashedQueries }).concat(new HttpLink({ uri, fetch }))
    const apollo = client(link)
    const query = gql(`query Persisted${useGETForHashedQueries ? 'Get' : 'Post'} { hello }`)
    for (let i = 0; i < 2; i++) assert.match((await apollo.query({ query, ...fresh })).data.hello, /\w/)
    const hashOnly = ({ method, url, body }) => !(method === 'GET' ? url.searchParams.has('query') : 'query' in JSON.parse(body))
    // unknown, then with the document, then by the hash alone
    assert.deepEqual(seen.map(hashOnly), [true, false, true])
    assert.ok(seen.every(({ status }) => status === 200))

    const ada = newUser()
    await register(ada)
    const variables = { body: { email: ada.email, password: ada.password } }
    for (let i = 0; i < 2; i++) assert.equal((await apollo.mutate({ mutation: gql(login), variables })).data.login.user.email, ada.email)
    assert.ok(seen.slice(3).every(({ method }) => method === 'POST'))
  })
}

test('a batch is refused with a sentence', async () => {
  const apollo = client(new BatchHttpLink({ uri, batchInterval: 5 }))
  const two = [gql(hello), gql('query Other { hello }')].map((query) => apollo.query({ query, ...fresh }))
  for (const one of await Promise.allSettled(two)) {
    assert.equal(one.status, 'rejected')
    assert.match(JSON.stringify(one.reason.bodyText ?? one.reason.result ?? one.reason.message), /send each operation in a request of its own/)
  }
})
