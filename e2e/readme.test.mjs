// The README's commands, pasted one after the other as a newcomer would, and
// its answers, compared by the fields they have.

import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { control, sandbox, url } from './cubegate.mjs'

const readme = await readFile(path.join(import.meta.dirname, '..', 'README.md'), 'utf8')
const steps = [...readme.matchAll(/```sh\n([^`]*localhost:300[^`]*)```\n\n```json\n([^`]*)```/g)]

test('the README has the session that it promises', () => {
  assert.ok(steps.length >= 5, `${steps.length} commands with answers`)
})

const folder = await mkdtemp(path.join(tmpdir(), 'cubegate-readme-'))
after(() => rm(folder, { recursive: true, force: true }))
let pasted = ''
for (const [, command, answer] of steps) {
  test(command.split('\n').find((line) => line.startsWith('curl')), async () => {
    const here = command.replaceAll('localhost:3000', new URL(url).host).replaceAll('localhost:3001', new URL(sandbox).host)
    // Variables of one paste are there in the next, as in one terminal.
    const { stdout } = await promisify(execFile)('bash', ['-c', `${pasted}\n${here}`], { cwd: folder })
    pasted += here.split('\n').filter((line) => /^[A-Z]+=/.test(line)).join('\n') + '\n'
    const [got, want] = [shape(stdout), shape(answer)]
    assert.equal(answer.includes('…\n') ? got.slice(0, want.length) : got, want, stdout) // a long answer is cut
  })
}
test('the fault is taken away again', () => control('DELETE', 'faults'))

/** The field names of an answer in their order; values differ from run to run. */
function shape(text) {
  return [...text.matchAll(/"(\w+)":/g)].map(([, name]) => name).join(' ')
}
