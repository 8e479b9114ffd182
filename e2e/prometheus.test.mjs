// Debian's Prometheus and promtool against a cubegate with an operators' listener: the
// scrape, and the rules and the configuration in docs/operations.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { banner, found, freePort, start, stop } from './process.mjs'
import { until } from './waiting.mjs'

const run = promisify(execFile)
const operations = path.join(import.meta.dirname, '../docs/operations')

const missing = await run('promtool', ['--version']).then(
  () => false,
  () => 'Prometheus is not installed: apt-get install prometheus',
)
if (missing) console.log(`prometheus.test.mjs is skipped. ${missing}`)

let work, server, ops
before(async () => {
  if (missing) return
  work = await mkdtemp(path.join(tmpdir(), 'cubegate-prometheus-'))
  server = start(process.env.CUBEGATE_BINARY, [], work, { OPS_ADDR: '127.0.0.1:0' })
  ops = found(await banner(server), /Metrics +(http:\S+)\/metrics/)
})
after(async () => {
  if (server) await stop(server)
  if (work) await rm(work, { recursive: true, force: true })
})

/** Runs promtool with a text as its input. */
function promtool(args, input) {
  const child = execFile('promtool', args, { cwd: operations })
  const output = []
  child.stdout.on('data', (d) => output.push(d))
  child.stderr.on('data', (d) => output.push(d))
  child.stdin.end(input)
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, text: output.join('') })))
}

test('promtool finds nothing to improve in a scrape', { skip: missing }, async () => {
  const scrape = await (await fetch(`${ops}/metrics`)).text()
  assert.ok(scrape.includes('cubegate_logins_total'))
  assert.deepEqual(await promtool(['check', 'metrics'], scrape), { code: 0, text: '' })
})

for (const args of [
  ['check', 'rules', 'alerts.yml'],
  ['test', 'rules', 'alerts_test.yml'],
  ['check', 'config', 'prometheus.yml'],
])
  test(`promtool ${args.join(' ')}`, { skip: missing }, async () => {
    const { code, text } = await promtool(args)
    assert.equal(code, 0, text)
    assert.match(text, /SUCCESS/)
  })

test('Prometheus scrapes the server with our configuration', { skip: missing }, async () => {
  const folder = path.join(work, 'prometheus')
  await cp(operations, folder, { recursive: true })
  const given = await readFile(path.join(folder, 'prometheus.yml'), 'utf8')
  const config = given.replace('cubegate:9090', new URL(ops).host).replace('scrape_interval: 15s', 'scrape_interval: 1s').replace(/^rule_files/m, 'global: {evaluation_interval: 1s}\n$&')
  assert.notEqual(config, given)
  await writeFile(path.join(folder, 'prometheus.yml'), config)

  const at = `127.0.0.1:${await freePort()}`
  const prometheus = spawn('prometheus', [
    `--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${at}`,
  ], { stdio: 'ignore' })
  try {
    const api = async (rest) => (await (await fetch(`http://${at}/api/v1/${rest}`)).json()).data
    const value = async (query) => (await api(`query?query=${encodeURIComponent(query)}`)).result[0]?.value[1]
    assert.equal(await until(() => value('up{job="cubegate"} == 1'), 'Prometheus has scraped the server'), '1')
    // Of the best scrape: a busy machine may need longer than a second for one.
    const best = (series) => value(`sum(max_over_time(${series}[5m]))`)
    const stored = Number(await best('scrape_samples_post_metric_relabeling{job="cubegate"}'))
    assert.ok(stored > 100 && stored <= 400, `${stored} series`)
    assert.equal(await best('cubegate_stand_in{service="database"}'), '1')

    assert.equal(await best('cubegate_logins_total{reason="wrong_password"}'), '0')
    // CubegateDown is pending until the first scrape has come.
    const quiet = await until(async () => {
      const { rules } = (await api('rules')).groups[0]
      return rules.every((r) => r.health === 'ok' && r.state === 'inactive') ? rules : undefined
    }, 'all rules are inactive')
    assert.equal(quiet.length, 6)
  } finally {
    await stop(prometheus)
  }
})
