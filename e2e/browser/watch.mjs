// What a page must not do, and how to see it.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { patience } from '../waiting.mjs'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Records all that a well-behaved page would not do, from its first line. */
export async function watch(page) {
  const seen = { requests: [], failures: [], console: [], violations: [] }
  page.context().on('request', (r) => seen.requests.push(r.url()))
  page.on('requestfailed', (r) => {
    if (r.failure()?.errorText !== 'net::ERR_ABORTED') seen.failures.push(`${r.url()} ${r.failure()?.errorText}`) // a page that is left stops its reading
  })
  page.on('console', (m) => seen.console.push(`${m.type()}: ${m.text()}`))
  page.on('pageerror', (e) => seen.console.push(`uncaught: ${e}`))
  await page.exposeFunction('reportViolation', (v) => void seen.violations.push(v))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) =>
      window.reportViolation(`${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`),
    )
  })
  return seen
}

// GraphiQL's dialogs make Radix, its library for them, say this in every build.
const known = /^warning: Warning: Missing `Description` or `aria-describedby=/

/** Fails if the page has asked another host, broken its policy, or said something on the console. */
export function assertQuiet(seen, server) {
  assert.deepEqual(seen.requests.filter((url) => !url.startsWith('data:') && new URL(url).origin !== new URL(server).origin), [])
  assert.deepEqual(seen.violations, [])
  assert.deepEqual(seen.console.filter((line) => !known.test(line)), [])
  assert.deepEqual(seen.failures, [])
}

/**
 * Waits until the page is at rest: its fonts are there, and for some frames in a row no
 * transition and no animation runs. In the middle of one, colors, sizes and places are those
 * of no state. An animation without an end, such as a spinner's, does not count.
 *
 * A change of the color scheme reaches the page's scripts with the next frame, and what
 * they change starts transitions with the one after that, hence the row of frames.
 */
export async function atRest(page) {
  await page.evaluate(async (patience) => {
    const runs = (a) => a.playState === 'running' && a.timeline === document.timeline && Number.isFinite(a.effect?.getComputedTiming().endTime)
    const nextFrame = () => new Promise(requestAnimationFrame)
    await document.fonts.ready
    const late = performance.now() + patience
    for (let quiet = 0; quiet < 4; ) {
      await nextFrame()
      const moving = document.getAnimations().filter(runs)
      quiet = moving.length ? 0 : quiet + 1
      if (performance.now() > late) throw new Error(`${moving.length} animations do not end, such as that of ${moving[0]?.effect.target?.outerHTML.slice(0, 200)}`)
    }
  }, patience)
}

/** Fails if axe-core finds something serious in the page, once that is at rest. */
export async function assertAccessible(page) {
  await atRest(page)
  await page.evaluate(axe) // by the debugger, which the page's policy does not bind
  const { violations, passes } = await page.evaluate(() => window.axe.run())
  assert.ok(passes.length > 5, 'axe-core has checked something')
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  assert.deepEqual(serious.map(({ id, nodes }) => [id, ...nodes.slice(0, 8).map((node) => `${node.target} ${node.html.slice(0, 100)} ${[...node.any, ...node.all][0]?.message ?? ''}`)]), [])
}
