// The code blocks of the README and of the pages in docs/, run in the order in which a
// newcomer pastes them. docs/testing.md explains how a block says what is done with it.
//
// Needs a cubegate to start (CUBEGATE_BINARY). `go run .` starts that one, and `npm ci --omit=dev`
// takes the packages of this folder.

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { blocksOf, is, pages } from './blocks.mjs'
import { cidp } from './cubegate.mjs'
import { Page } from './page.mjs'
import { patience } from './waiting.mjs'

const all = await pages()

/** The blocks that are not run, by page. A new one needs a reason, and a line here. */
const notRun = {
  'README.md': ['this test is part of them', 'needs a Docker engine'],
  'SECURITY.md': ['takes an hour', 'takes a minute'],
  'docs/going-live.md': ['needs a MongoDB and a ConnectyCube application'],
  'docs/mongodb.md': ["needs MongoDB's tools", 'needs a MongoDB'],
  'docs/operations/metrics.md': ["takes a port that is not the test's", 'needs a log in a file'],
  'docs/operations/performance.md': ['takes minutes'],
  'docs/phones.md': ['needs Android', 'needs Flutter'],
  'docs/sandbox.md': ['needs a ConnectyCube application'],
  'docs/testing.md': ['this test is part of it', 'this test is part of it', 'needs a MongoDB', 'each takes minutes to hours'],
}

/** The kinds of blocks that run: their language and their mark. */
const kinds = {
  sh: ['', 'server', 'stopped', 'terminal', 'compose'],
  json: ['', 'variables'],
  graphql: [''],
  js: ['session', 'parse'],
  text: ['', 'output'], // drawings, and what a session prints
  nginx: [''], // see proxies.test.mjs
  caddyfile: [''],
}
const elsewhere = ['from', 'run-by'] // server/shape checks that another test runs them

function runs(block, mark) {
  return elsewhere.includes(mark) || kinds[block.language]?.includes(mark)
}

test('every block is run, or has a reason why not', () => {
  const reasons = {}
  for (const [name, blocks] of Object.entries(all)) {
    for (const block of blocks) {
      const [mark = ''] = Object.keys(block.marks)
      if (mark === 'not-run') (reasons[name] ??= []).push(block.marks[mark])
      else assert.ok(runs(block, mark), `${name}:${block.line}: \`${block.language} ${mark}\` is no kind of block`)
    }
  }
  assert.deepEqual(reasons, notRun)
})

test('blocks are read with their indentation and their marks', () => {
  const [one, two, ...others] = blocksOf('a\n\n```sh\nx\n```\n- b\n\n  ```xml not-run="needs a phone" from=a/b.mjs\n  <x>\n    y\n  ```\n')
  assert.deepEqual(others, [])
  assert.deepEqual(one, { indent: '', line: 3, text: 'x\n', language: 'sh', marks: {} })
  assert.deepEqual(two, { indent: '  ', line: 8, text: '<x>\n  y\n', language: 'xml', marks: { 'not-run': 'needs a phone', from: 'a/b.mjs' } })
  assert.throws(() => blocksOf('```sh\nx\n'), /line 1 has no end/)
  assert.throws(() => blocksOf('a\n\n    x\n'), /line 3 has no fence/)
})

test('docs/identity-provider.md has the settings that the tests of logins use', async () => {
  const page = await readFile(path.join(import.meta.dirname, '../docs/identity-provider.md'), 'utf8')
  const [, post, get] = page.split(/^## The form.*$/m)
  for (const [form, settings] of [[post, cidp.POST], [get, cidp.GET]]) {
    assert.ok(form.includes(`| Request type | ${settings.method} |`), settings.method)
    assert.ok(form.includes(new URL(settings.url).pathname), settings.url)
    for (const value of [settings.request_params, settings.response_params]) {
      assert.ok(form.includes(`| \`${JSON.stringify(value)}\` |`), JSON.stringify(value))
    }
    for (const header of Object.keys(settings.headers ?? {})) assert.ok(form.includes(`"${header}"`), header)
  }
})

for (const [name, blocks] of Object.entries(all)) {
  const sessions = blocks.filter((block) => is(block, 'js', 'session'))
  const terminals = blocks.filter((block) => is(block, 'sh', 'terminal'))
  describe(name, () => {
    const page = new Page()
    before(() => page.open())
    after(() => page.close())

    blocks.forEach((block, i) => {
      const next = blocks[i + 1]
      const title = `line ${block.line}: ${block.text.trim().split('\n')[0]}`
      if (is(block, 'sh')) test(title, () => page.paste(block, is(next, 'json') ? next.text : undefined))
      if (is(block, 'sh', 'stopped')) test(title, () => page.stop().then(() => page.paste(block)))
      if (is(block, 'sh', 'server')) test(title, () => page.serve(block))
      if (is(block, 'sh', 'compose')) test(title, (t) => page.compose(t, block))
      if (is(block, 'graphql')) test(title, () => page.ask(block, is(next, 'json', 'variables') ? next.text : '{}'))
      if (is(block, 'json') || is(block, 'json', 'variables')) test(title, () => block.text.includes('…') || JSON.parse(block.text))
      if (is(block, 'js', 'parse')) test(title, () => page.parse(block))
      if (block === sessions.at(-1)) test(title, () => page.session(sessions, is(next, 'text', 'output') ? next.text : ''))
      if (block === terminals.at(-1)) test(title, (t) => page.chat(t, terminals), { timeout: 4 * patience })
    })
  })
}
