// The audit of the GraphQL over HTTP specification, written by its authors.

import { test } from 'node:test'
import assert from 'node:assert/strict'
import { serverAudits } from 'graphql-http'
import { url } from '../cubegate.mjs'

// GET is optional, and refused on purpose: a login in a query string would end
// in logs. So these cannot pass, and must not begin to.
const refused = [
  'MAY accept application/x-www-form-urlencoded formatted GET requests',
  'MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/graphql-response+json',
  'MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting application/json',
]

const audits = serverAudits({ url: `${url}/api` })
assert.ok(audits.length > 50, 'the audit is not what it was')

for (const audit of audits) {
  test(audit.name, async () => {
    const result = await audit.fn()
    const want = refused.includes(audit.name) ? /notice|warn/ : /ok/
    assert.match(result.status, want, result.reason)
  })
}
