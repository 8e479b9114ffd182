// Node's HTTP/2 client, with prior knowledge, as proxies speak to a server.

import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { once } from 'node:events'
import { test } from 'node:test'
import { url } from '../cubegate.mjs'

test('50 requests on one connection', async () => {
  const session = connect(url)
  try {
    await once(session, 'connect')
    const ask = async () => {
      const stream = session.request({ ':method': 'POST', ':path': '/api', 'content-type': 'application/json' })
      stream.end(JSON.stringify({ query: '{ hello }' }))
      const [headers] = await once(stream, 'response')
      let text = ''
      for await (const chunk of stream.setEncoding('utf8')) text += chunk
      return [headers[':status'], JSON.parse(text)]
    }
    for (const [status, { data }] of await Promise.all(Array.from({ length: 50 }, ask))) {
      assert.equal(status, 200)
      assert.match(data.hello, /\w/)
    }
  } finally {
    session.close()
  }
})
