// A short form of soak.mjs: enough to keep it working.
//
// Needs a cubegate to start (CUBEGATE_BINARY).

import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { patience } from '../waiting.mjs'

test('twenty devices in bad weather: nothing lost, nothing twice', async () => {
  const soak = fileURLToPath(new URL('../soak.mjs', import.meta.url))
  const args = [soak, '--clients', '20', '--seconds', '5', '--binary', process.env.CUBEGATE_BINARY]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 5 * patience })
  assert.match(stdout, /nothing lost, nothing twice\n$/, stdout)
})
