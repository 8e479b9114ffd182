// A worker of run.mjs: runs one test file, with the server that its environment names. Posts
// {passed, failed} when it has printed the report.

import { finished as flushed } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parentPort, workerData } from 'node:worker_threads'

const { file, limit } = workerData
const counts = { passed: 0, failed: 0 }
const events = run({ files: [file], timeout: limit })
events.on('test:pass', ({ name, file, skip, details }) => {
  if (details.type === 'suite' || skip !== undefined) return
  if (name !== file) counts.passed++
  else counts.failed++ // the runner passes a file without a single test
})
events.on('test:fail', ({ details }) => {
  // The failures of its tests are counted already, that of its own body is not.
  if (details.type !== 'suite' || details.error.failureType !== 'subtestsFailed') counts.failed++
})
let open = 0 // tests that have no result yet
events.on('test:enqueue', () => open++)
events.on('test:complete', () => open--)
const withoutSums = events.filter(({ type }) => type !== 'test:diagnostic') // of this file alone
const report = withoutSums.compose(new spec())
report.pipe(process.stdout, { end: false })
await flushed(report)
if (open > 0) {
  counts.failed++ // the file has called process.exit
  console.log(`✖ ${open} tests have no result`)
}
parentPort.postMessage(counts)
