// How tests wait for what comes in its own time. A test waits for a state that stays, never for
// a moment, and never for a guessed time.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'

/** How long a test waits for one thing, in ms: a busy machine may need long. Only a failure takes all of it. */
export const patience = 60_000

/** Asks again and again until the answer is truthy, and returns it. An answer that fails is none. Fails with what. */
export async function until(ask, what) {
  let last // why there is no answer
  for (const end = Date.now() + patience; ; await sleep(20)) {
    try {
      const answer = await ask()
      if (answer) return answer
    } catch (e) {
      last = e
    }
    if (Date.now() > end) throw new Error(`not within ${patience / 1000} s: ${what}`, { cause: last })
  }
}

/** Asks again and again until the answer is the one that is wanted. Fails with the difference. */
export async function becomes(ask, wanted, what) {
  for (const end = Date.now() + patience; ; await sleep(20)) {
    const answer = await ask()
    if (isDeepStrictEqual(answer, wanted)) return
    if (Date.now() > end) assert.deepEqual(answer, wanted, what)
  }
}
