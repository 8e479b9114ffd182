// Debian's Chromium, headless and without the internet.

import { chromium } from 'playwright-core'
import { patience } from '../waiting.mjs'

/**
 * Starts it; what is done in its pages has the patience of waiting.mjs. hosts are
 * Chromium's rules for host names, before the last one, by which there are no others:
 * 'EXCLUDE name' leaves a name alone, 'MAP name 127.0.0.1' makes it this machine.
 */
export function launch(...hosts) {
  return launchWith([], ...hosts)
}

/** Starts it with switches of its own. */
export async function launchWith(switches, ...hosts) {
  const browser = await chromium.launch({
    timeout: patience,
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox', // CI runs as root
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...switches,
      `--host-resolver-rules=${[...hosts, 'MAP * ~NOTFOUND'].join(', ')}`,
    ],
  })
  browser.on('context', (context) => context.setDefaultTimeout(patience))
  return browser
}
