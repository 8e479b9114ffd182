// Starting cubegate and reading what it says, as a person would.

import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import path from 'node:path'
import { patience } from './waiting.mjs'

/**
 * Starts a cubegate in a folder, on ports of its own, with nothing else configured but env.
 * Its log goes to the file descriptor log.
 */
export function start(binary, args, folder, env, log = 'ignore') {
  return spawn(binary, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, PORT: '0', SANDBOX_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', log],
  })
}

/** Waits for the end of a process, which must be a good one. */
export function finished(child) {
  return new Promise((resolve, reject) => {
    const ended = (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${path.basename(child.spawnfile)} ended with ${code ?? signal}`))
    }
    if ((child.exitCode ?? child.signalCode) !== null) return ended(child.exitCode, child.signalCode) // the event has passed
    child.on('error', reject)
    child.on('exit', ended)
  })
}

/**
 * Ends a process and waits for it: until then it may write to its folder. A process that does not
 * end gets SIGKILL. Fails when the process does not end well.
 */
export async function stop(child, signal = 'SIGTERM') {
  const late = setTimeout(() => child.kill('SIGKILL'), patience)
  try {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await finished(child)
  } finally {
    clearTimeout(late)
  }
}

/** All that a cubegate prints until it is ready. */
export function banner(child) {
  return new Promise((resolve, reject) => {
    let text = ''
    const late = setTimeout(() => reject(new Error(`no banner within ${patience / 1000} s: ${text}`)), patience)
    child.stdout.on('data', (chunk) => {
      text += chunk
      if (!/Stop with/.test(text)) return
      clearTimeout(late)
      resolve(text)
    })
    child.on('exit', (code) => reject(new Error(`cubegate ended with ${code}: ${text}`)))
  })
}

/** What a banner shows where the pattern has its parentheses. */
export function found(text, pattern) {
  const match = pattern.exec(text)
  if (!match) throw new Error(`the banner does not show ${pattern}: ${text}`)
  return match[1]
}

/**
 * Returns a port for a program that cannot choose one itself. It is below those from which
 * systems take the port of a listener on port 0 and of a client (Linux: from 32768), so that
 * none of them gets it before the program does.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 30_000)
    const listener = createServer()
    const isFree = await new Promise((resolve) => listener.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)))
    if (!isFree) continue
    await new Promise((resolve) => listener.close(resolve))
    return port
  }
}
