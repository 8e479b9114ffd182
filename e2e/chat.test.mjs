// chat.mjs as the README says: two people in two terminals.

import { test } from 'node:test'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import path from 'node:path'
import { newUser } from './cubegate.mjs'
import { stop } from './process.mjs'

test('two people chat in two terminals', { timeout: 60000 }, async (t) => {
  const [ada, bob] = [newUser().email, newUser().email]
  const terminals = [terminal(t, ada, bob), terminal(t, bob, ada)]
  await Promise.all(terminals.map((term) => term.shows(/is online/)))
  terminals[0].types('Hello Bob! 🦀 <b>')
  await terminals[1].shows(`${ada}: Hello Bob! 🦀 <b>\n`)
  terminals[1].types('Hello Ada!')
  await terminals[0].shows(`${bob}: Hello Ada!\n`)
  assert.deepEqual(await Promise.all(terminals.map((term) => term.ends())), [0, 0])
})

function terminal(t, me, other) {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'chat.mjs'), me, other])
  t.after(() => stop(child).catch(() => {}))
  let screen = ''
  const watchers = new Set()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      screen += text
      watchers.forEach((look) => look())
    })
  }
  return {
    types: (line) => child.stdin.write(`${line}\n`),
    shows: (what) => new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${me} does not see ${what}: ${screen}`)), 20000)
      const look = () => {
        if (!(what instanceof RegExp ? what.test(screen) : screen.includes(what))) return
        clearTimeout(late)
        watchers.delete(look)
        resolve()
      }
      watchers.add(look)
      look()
    }),
    ends: () => new Promise((resolve) => {
      child.on('exit', resolve)
      child.stdin.end()
    }),
  }
}
