// A program in a terminal, with a user who reads and types.

import { spawn } from 'node:child_process'
import { stop } from './process.mjs'
import { patience } from './waiting.mjs'

/** Starts a program, which ends with the test t. */
export function terminal(t, program, args, options) {
  const child = spawn(program, args, options)
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
    screen: () => screen,
    types: (line) => child.stdin.write(`${line}\n`),
    shows: (text) => new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${args.join(' ')} does not show ${text}: ${screen}`)), patience)
      const look = () => {
        if (!(text instanceof RegExp ? text.test(screen) : screen.includes(text))) return
        clearTimeout(late)
        watchers.delete(look)
        resolve()
      }
      watchers.add(look)
      look()
    }),
    ends: () => new Promise((resolve) => {
      child.on('close', resolve) // all output has arrived
      child.stdin.end()
    }),
  }
}
