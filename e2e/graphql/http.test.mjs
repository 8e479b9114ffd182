// The audit of the GraphQL over HTTP specification, written by its authors.

import { test } from 'node:test'
import assert from 'node:assert/strict'
import { serverAudits } from 'graphql-http'
import { url } from '../cubegate.mjs'

const audits = serverAudits({ url: `${url}/api` })
assert.ok(audits.length > 50, 'the audit is not what it was')

for (const audit of audits) {
  test(audit.name, async () => {
    const result = await audit.fn()
    assert.equal(result.status, 'ok', result.reason)
  })
}
