// Bundles the pages that use a kit of ConnectyCube as npm has it.

import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Bundles an app of this folder for a page, and returns the script. */
export async function bundle(file) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(file, import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    jsx: 'automatic',
    define: { 'process.env': '{}', 'process.env.NODE_ENV': '"production"' },
    logLevel: 'error',
  })
  return outputFiles[0].text
}
