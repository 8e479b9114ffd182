// Builds cubegate, starts it with nothing configured but ports of its own, and
// runs every test here against it. `node e2e/run.mjs [part of a file name]`
//
// Each test file gets CUBEGATE_URL and SANDBOX_URL, taken from what the program
// prints at its start: a person would find them there, too.

import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

const here = import.meta.dirname
const only = process.argv[2] ?? ''

const work = await mkdtemp(path.join(tmpdir(), 'cubegate-e2e-'))
let server
try {
  const binary = path.join(work, 'cubegate')
  await finished(spawn('go', ['build', '-o', binary, '.'], { cwd: path.dirname(here), stdio: 'inherit' }))
  server = spawn(binary, [], {
    cwd: work,
    env: { PATH: process.env.PATH, PORT: '0', SANDBOX_PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const banner = await printed(server, /Stop with/)
  const env = {
    ...process.env,
    CUBEGATE_URL: found(banner, /(http:\S+)\/api/),
    SANDBOX_URL: found(banner, /sandbox at (http:[^\s,]+)/),
  }
  const files = (await readdir(here, { recursive: true }))
    .filter((f) => f.endsWith('.test.mjs') && !f.includes('node_modules') && f.includes(only))
    .sort()
    .map((f) => path.join(here, f))
  // One after the other: the SDK's settings and the sandbox's faults are shared.
  const args = ['--test', '--test-concurrency=1', '--test-timeout=120000', ...files]
  await finished(spawn(process.execPath, args, { env, stdio: 'inherit' }))
  server.kill('SIGTERM')
  await finished(server)
} catch (e) {
  console.error(`e2e: ${e.message}`)
  process.exitCode = 1
} finally {
  server?.kill('SIGKILL')
  await rm(work, { recursive: true, force: true })
}

function finished(child) {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${path.basename(child.spawnfile)} ended with ${code ?? signal}`))
    })
  })
}

function printed(child, last) {
  return new Promise((resolve, reject) => {
    let text = ''
    const late = setTimeout(() => reject(new Error(`no banner within 20 s: ${text}`)), 20000)
    child.stdout.on('data', (chunk) => {
      text += chunk
      if (!last.test(text)) return
      clearTimeout(late)
      resolve(text)
    })
    child.on('exit', (code) => reject(new Error(`cubegate ended with ${code}: ${text}`)))
  })
}

function found(text, pattern) {
  const match = pattern.exec(text)
  if (!match) throw new Error(`the banner does not show ${pattern}: ${text}`)
  return match[1]
}
