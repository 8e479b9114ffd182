// What a reader of a page has: a folder, a server in it, and a shell.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { banner, found, start, stop } from './process.mjs'
import { terminal } from './terminal.mjs'
import { patience } from './waiting.mjs'

const run = promisify(execFile)
const root = path.join(import.meta.dirname, '..')

/** Runs the blocks of one page. */
export class Page {
  #server
  #pasted = '' // variables of one paste are there in the next, as in one terminal
  #token

  async open() {
    this.folder = await mkdtemp(path.join(tmpdir(), 'cubegate-page-'))
    const stubs = path.join(this.folder, 'bin')
    await mkdir(stubs)
    const go = `#!/bin/sh\n[ "$1 $2" = "run ." ] || exec false\nshift 2\nexec '${process.env.CUBEGATE_BINARY}' "$@"\n`
    await writeFile(path.join(stubs, 'go'), go, { mode: 0o755 })
    await writeFile(path.join(stubs, 'npm'), `#!/bin/sh\n[ "$*" = 'ci --omit=dev' ] && ln -s '${root}/e2e/node_modules' node_modules\n`, { mode: 0o755 })
    this.env = {
      PATH: `${stubs}:${process.env.PATH}`, HOME: this.folder, REPOSITORY: root, PORT: '0', SANDBOX_PORT: '0',
      GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*',
    }
  }

  async close() {
    await this.stop()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** The folder in which the reader is: the clone, if the page has made one. */
  get cwd() {
    const clone = path.join(this.folder, 'cubegate')
    return existsSync(clone) ? clone : this.folder
  }

  /** Starts the server of the page, with a command of the page or without one. */
  async serve(block) {
    await this.stop()
    this.#server = block
      ? spawn('bash', ['-c', block.text.replace(/^(go run)/m, 'exec $1')], { cwd: this.folder, env: this.env, stdio: ['ignore', 'pipe', 'ignore'] })
      : start(process.env.CUBEGATE_BINARY, [], this.folder, {})
    const text = await banner(this.#server)
    this.sandbox = found(text, /(?:sandbox at|REST API) +(https?:[^\s,]+)/)
    this.url = text.includes('/api\n') ? found(text, /(https?:\S+)\/api\n/) : undefined
  }

  async stop() {
    const server = this.#server
    this.#server = undefined
    if (server) await stop(server)
  }

  /** The text with the ports of the page's server. Starts one if the text needs it. */
  async here(text) {
    if (!/localhost:300[01]/.test(text)) return text
    if (!this.#server) await this.serve()
    return text.replaceAll('localhost:3000', `localhost:${new URL(this.url ?? 'http://none:1').port}`).replaceAll('localhost:3001', `localhost:${new URL(this.sandbox).port}`)
  }

  async paste(block, answer) {
    if ('stopped' in block.marks && !existsSync(path.join(this.cwd, 'data'))) {
      await this.serve() // there is something to read
      await this.stop()
    }
    const text = await this.here(block.text)
    const { stdout } = await run('bash', ['-e', '-c', `${this.#pasted}\n${text}`], { cwd: this.cwd, env: this.env })
    this.#pasted += text.split('\n').filter((line) => /^(export )?[A-Z_]+=/.test(line)).join('\n') + '\n'
    if (answer) compare(stdout, answer)
  }

  async ask(block, variables) {
    const server = await this.here('http://localhost:3000')
    const response = await fetch(`${server}/api`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(this.#token && { Authorization: `Bearer ${this.#token}` }) },
      body: JSON.stringify({ query: block.text, variables: JSON.parse(variables) }),
    })
    const { data, errors } = await response.json()
    assert.equal(errors, undefined, JSON.stringify(errors))
    this.#token ??= Object.values(data).find((field) => field.token)?.token
  }

  async node(text, ...flags) {
    await symlink(path.join(root, 'e2e/node_modules'), path.join(this.folder, 'node_modules')).catch((e) => e.code === 'EEXIST' || Promise.reject(e))
    const file = path.join(this.folder, 'session.mjs')
    await writeFile(file, text)
    return run(process.execPath, [...flags, file], { cwd: this.folder, timeout: 2 * patience })
  }

  parse(block) {
    return this.node(block.text, '--check')
  }

  async session(blocks, output) {
    const { stdout } = await this.node(await this.here(blocks.map((block) => block.text).join('')))
    assert.equal(stdout, output)
  }

  /** Two terminals, in which two users write to each other. */
  async chat(t, blocks) {
    assert.equal(blocks.length, 2, 'a chat has two terminals')
    const env = { ...this.env, CUBEGATE_URL: this.url }
    const open = []
    for (const { text } of blocks) {
      open.push(terminal(t, 'bash', ['-e', '-c', text.replace(/^(node chat)/m, 'exec $1')], { cwd: this.cwd, env }))
      await open.at(-1).shows(/is online/)
    }
    const [ada, bob] = open
    ada.types('Hello Bob!')
    await bob.shows('ada@example.org: Hello Bob!\n')
    bob.types('Hello Ada!')
    await ada.shows('bob@example.org: Hello Ada!\n')
    assert.deepEqual([await ada.ends(), await bob.ends()], [0, 0])
  }

  /** Lets Compose read compose.yaml with .env, and starts nothing. */
  async compose(t, block) {
    const [copy, up] = block.text.trim().split('\n')
    assert.equal(up, 'docker compose up -d')
    const settings = 'JWT_SECRET=x APP_ID=1 AUTH_KEY=x DOMAIN=chat.example.org'.replaceAll(' ', '\n')
    await run('bash', ['-e', '-c', `cp '${root}'/{compose.yaml,.env.example} .\n${copy}\necho '${settings}' >>.env`], { cwd: this.folder })
    for (const command of [['docker', 'compose'], ['docker-compose']]) {
      const [program, ...args] = command
      if (!await run(program, [...args, 'version']).catch(() => false)) continue
      const { stdout } = await run(program, [...args, 'config'], { cwd: this.folder, env: { PATH: process.env.PATH, HOME: this.folder } })
      return assert.match(stdout, /PUBLIC_URL: https:\/\/chat\.example\.org/)
    }
    t.skip('needs Docker Compose')
  }
}

/** Compares the field names of an answer, and the values that are the same in each run. */
function compare(got, want) {
  const cut = want.includes('…\n') // a long answer
  const names = /"\w+":/g
  const fixed = /"(message|chatStatus|kind|code|email|firstName|base|application_id)":(\["[^"]*"|"[^"]*"|\w+)/g
  for (const pattern of [names, fixed]) {
    const [g, w] = [got, want].map((text) => text.match(pattern) ?? [])
    assert.deepEqual(cut ? g.slice(0, w.length) : g, w, got)
  }
}
