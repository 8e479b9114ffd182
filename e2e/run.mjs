// Builds cubegate, starts it with nothing configured but ports of its own, and
// runs every test here against it.
//
//	node e2e/run.mjs [--sandbox-only] [--full] [--binary FILE] [--limit SECONDS] [--servers N] [part of a file name]
//
// With --full it runs the files in full/ alone, whose tools take long to install; see
// .ci/full. With --sandbox-only it starts `cubegate sandbox`, which has no database and no
// server beside it, and runs what needs no more than that. With --binary it
// builds nothing and starts FILE, such as one built with -race. One test file may
// take 15 minutes, as on a busy machine, or what --limit says.
//
// It starts two servers, or --servers, and each runs one test file at a time, because the
// files change its sandbox's clock, faults and settings.
//
// Each test file gets CUBEGATE_URL and SANDBOX_URL, taken from what the program
// prints at its start: a person would find them there, too. CUBEGATE_BINARY is
// for tests that start one of their own. The last line is "N passed, N failed".

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { banner, finished, found, start, stop } from './process.mjs'
import { patience } from './waiting.mjs'

const here = import.meta.dirname
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'sandbox-only': { type: 'boolean', default: false }, full: { type: 'boolean', default: false }, binary: { type: 'string' }, limit: { type: 'string', default: '900' }, servers: { type: 'string', default: '2' } },
})
const sandboxOnly = flags['sandbox-only']
const only = positionals[0] ?? ''
const fileLimit = 1000 * Number(flags.limit) // ms

// What the sandbox shows to the server; the tests that set it up anew need it.
const secret = (process.env.CONNECTYCUBE_CIDP_SECRET = randomBytes(32).toString('base64'))

const work = await mkdtemp(path.join(tmpdir(), 'cubegate-e2e-'))
const counts = { passed: 0, failed: 0 }
try {
  const binary = flags.binary ? path.resolve(flags.binary) : await built()
  const queue = await files()
  const servers = Math.min(Number(flags.servers), queue.length)
  await Promise.all(Array.from({ length: servers }, (_, i) => drain(queue, binary, path.join(work, String(i)))))
} finally {
  await rm(work, { recursive: true, force: true })
}
if (counts.passed === 0) counts.failed ||= 1 // a run that proves nothing is no success
process.exitCode = counts.failed ? 1 : 0
console.log(`${counts.passed} passed, ${counts.failed} failed`)

/** Starts a server in a folder and runs files of the queue against it until there are none. */
async function drain(queue, binary, folder) {
  let server
  try {
    await mkdir(folder)
    const log = await open(path.join(folder, 'log'), 'w')
    server = start(binary, sandboxOnly ? ['sandbox'] : [], folder, { CONNECTYCUBE_CIDP_SECRET: secret }, log.fd)
    await log.close()
    const shown = await banner(server)
    const env = { ...process.env, CUBEGATE_BINARY: binary, SANDBOX_URL: found(shown, sandboxOnly ? /REST API +(http:\S+)/ : /sandbox at (http:[^\s,]+)/) }
    if (!sandboxOnly) env.CUBEGATE_URL = found(shown, /(http:\S+)\/api/)

    for (let file; (file = queue.shift()); ) await runFile(file, env)
    await stop(server)
    checkLog(await readFile(path.join(folder, 'log'), 'utf8'))
  } catch (e) {
    console.error(`e2e: ${e.message}`)
    counts.failed++
  } finally {
    if (server) await stop(server, 'SIGKILL').catch(() => {}) // only after a failure is it still there
  }
}

/** Runs one file, prints its report in one piece, and counts its tests. */
async function runFile(file, env) {
  const began = Date.now()
  const worker = new Worker(new URL('onefile.mjs', import.meta.url), { workerData: { file, limit: fileLimit }, env, stdout: true })
  const late = setTimeout(() => worker.terminate(), fileLimit + patience) // a file that does not end at its limit
  const noResult = once(worker, 'exit').then(() => [{ passed: 0, failed: 1 }])
  const [[{ passed, failed }], report] = await Promise.all([Promise.race([once(worker, 'message'), noResult]), text(worker.stdout)])
  clearTimeout(late)
  counts.passed += passed
  counts.failed += failed
  console.log(`\n== ${path.relative(here, file)} (${((Date.now() - began) / 1000).toFixed(1)} s)\n${report}`)
}

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
