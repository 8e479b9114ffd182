// Builds cubegate, starts it with nothing configured but ports of its own, and
// runs every test here against it.
//
//	node e2e/run.mjs [--sandbox-only] [--full] [--binary FILE] [--limit SECONDS] [part of a file name]
//
// With --full it runs the files in full/ alone, whose tools take long to install; see
// .ci/full. With --sandbox-only it starts `cubegate sandbox`, which has no database and no
// server beside it, and runs what needs no more than that. With --binary it
// builds nothing and starts FILE, such as one built with -race. One test file may
// take 15 minutes, as on a busy machine, or what --limit says.
//
// Each test file gets CUBEGATE_URL and SANDBOX_URL, taken from what the program
// prints at its start: a person would find them there, too. CUBEGATE_BINARY is
// for tests that start one of their own. The last line is "N passed, N failed".

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { finished as flushed } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'
import { banner, finished, found, start, stop } from './process.mjs'

const here = import.meta.dirname
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'sandbox-only': { type: 'boolean', default: false }, full: { type: 'boolean', default: false }, binary: { type: 'string' }, limit: { type: 'string', default: '900' } },
})
const sandboxOnly = flags['sandbox-only']
const only = positionals[0] ?? ''
const fileLimit = 1000 * Number(flags.limit) // ms

// What the sandbox shows to the server; the tests that set it up anew need it.
const secret = (process.env.CONNECTYCUBE_CIDP_SECRET = randomBytes(32).toString('base64'))

const work = await mkdtemp(path.join(tmpdir(), 'cubegate-e2e-'))
let server
let counts = { passed: 0, failed: 0 }
try {
  const binary = flags.binary ? path.resolve(flags.binary) : await built()
  const log = await open(path.join(work, 'log'), 'w')
  server = start(binary, sandboxOnly ? ['sandbox'] : [], work, { CONNECTYCUBE_CIDP_SECRET: secret }, log.fd)
  await log.close()
  const text = await banner(server)
  process.env.CUBEGATE_BINARY = binary
  process.env.SANDBOX_URL = found(text, sandboxOnly ? /REST API +(http:\S+)/ : /sandbox at (http:[^\s,]+)/)
  if (!sandboxOnly) process.env.CUBEGATE_URL = found(text, /(http:\S+)\/api/)

  counts = await tests(await files())
  await stop(server)
  checkLog(await readFile(path.join(work, 'log'), 'utf8'))
} catch (e) {
  console.error(`e2e: ${e.message}`)
  counts.failed++
} finally {
  if (server) await stop(server, 'SIGKILL').catch(() => {}) // only after a failure is it still there
  await rm(work, { recursive: true, force: true })
}
if (counts.passed === 0) counts.failed ||= 1 // a run that proves nothing is no success
process.exitCode = counts.failed ? 1 : 0
console.log(`${counts.passed} passed, ${counts.failed} failed`)

async function built() {
  const binary = path.join(work, 'cubegate')
  await finished(spawn('go', ['build', '-o', binary, '.'], { cwd: path.dirname(here), stdio: 'inherit' }))
  return binary
}

/** Fails if the log of the whole run contains a token, a ConnectyCube session or a password hash. */
function checkLog(log) {
  if (!log.includes('"started"') && !sandboxOnly) throw new Error(`the log lacks the start: ${log.slice(0, 500)}`)
  const leaked = log.split('\n').filter((line) => /eyJ[\w-]{16,}|[\w-]{80,}|\b[0-9A-F]{36}\b|\$argon2id\$/.test(line))
  if (leaked.length > 0) throw new Error(`the log contains credentials: ${leaked.slice(0, 3).join('\n')}`)
}

async function files() {
  const ofServer = ['graphql/http.test.mjs', 'graphql/introspection.test.mjs', 'browser/hook.test.mjs', 'browser/look.test.mjs', 'browser/playground.test.mjs', 'browser/prefix.test.mjs', 'browser/reference.test.mjs', 'browser/tabs.test.mjs', 'browser/welcome.test.mjs', 'sdk/sessions.test.mjs']
  const needsServer = (f) => !f.includes('/') || f.startsWith('clients/') || ofServer.includes(f)
  return (await readdir(here, { recursive: true }))
    .filter((f) => f.endsWith('.test.mjs') && !f.includes('node_modules') && f.includes(only))
    .filter((f) => f.startsWith('full/') === flags.full)
    .filter((f) => !sandboxOnly || !needsServer(f))
    .sort()
    .map((f) => path.join(here, f))
}

/** Runs files one after the other, as the sandbox's clock, faults and settings are shared. */
async function tests(files) {
  const counts = { passed: 0, failed: 0 }
  const events = run({ files, concurrency: 1, timeout: fileLimit })
  events.on('test:pass', ({ name, file, skip, details }) => {
    if (details.type === 'suite' || skip !== undefined) return
    if (name !== file) counts.passed++
    else counts.failed++ // the runner passes a file without a single test
  })
  events.on('test:fail', ({ details }) => {
    // The failures of its tests are counted already, that of its own body is not.
    if (details.type !== 'suite' || details.error.failureType !== 'subtestsFailed') counts.failed++
  })
  const report = events.compose(new spec())
  report.pipe(process.stdout, { end: false })
  await flushed(report)
  return counts
}
