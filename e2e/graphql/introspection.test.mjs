// The introspection queries of graphql-js in all variants, read back by
// graphql-js: the schema that a tool sees is the one in the file.

import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema, validateSchema } from 'graphql'
import { url } from '../cubegate.mjs'

const options = ['descriptions', 'specifiedByUrl', 'directiveIsRepeatable', 'schemaDescription', 'inputValueDeprecation', 'oneOf']

async function introspected(chosen) {
  const answer = await fetch(`${url}/api`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: getIntrospectionQuery(chosen) }),
  })
  const { data, errors } = await answer.json()
  assert.equal(errors, undefined)
  return buildClientSchema(data)
}

test(`${2 ** options.length} introspection queries are answered whole`, async () => {
  const types = Object.keys((await introspected({})).getTypeMap())
  for (let bits = 0; bits < 2 ** options.length; bits++) {
    const schema = await introspected(Object.fromEntries(options.map((o, i) => [o, Boolean(bits & (1 << i))])))
    assert.deepEqual(validateSchema(schema), [])
    assert.deepEqual(Object.keys(schema.getTypeMap()), types)
  }
})

test('what introspection shows is the schema', async () => {
  const sdl = await readFile(path.join(import.meta.dirname, '../../resolvers/schema.graphql'), 'utf8')
  const seen = await introspected(Object.fromEntries(options.map((o) => [o, true])))
  assert.equal(printSchema(lexicographicSortSchema(seen)), printSchema(lexicographicSortSchema(buildSchema(sdl))))
})
