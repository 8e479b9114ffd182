// The blocks for nginx and Caddy, and what docs/going-live.md says about other proxies. They
// run in front of a cubegate, with the programs from Debian: the server sees the client's
// address, a client cannot choose it, and no token gets into a log. Blocks of other pages are
// checked.
//
// Needs a cubegate to start (CUBEGATE_BINARY), and nginx, caddy, haproxy and apache2; without
// one of them, its tests are skipped.

import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { is, pages } from './blocks.mjs'
import { banner, found, freePort, start, stop } from './process.mjs'
import { until } from './waiting.mjs'

const run = promisify(execFile)
const all = await pages()
const block = (language) => all['docs/going-live.md'].find((block) => is(block, language)).text

/** Writes a site into a file that nginx takes as its whole configuration, and checks it. */
async function checkNginx(folder, site) {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')
  const file = path.join(folder, 'nginx.conf')
  await writeFile(file, `daemon off; pid ${folder}/pid; error_log ${folder}/log;\nevents {}\nhttp { access_log ${folder}/log; ${paths}\n${site}}\n`)
  await run('nginx', ['-t', '-c', file])
  return file
}

async function checkCaddy(folder, site) {
  const file = path.join(folder, 'Caddyfile')
  await writeFile(file, site)
  await run('caddy', ['adapt', '--validate', '--config', file], { env: { PATH: process.env.PATH, HOME: folder } })
  return file
}

/** What a proxy needs: its file, with the server and the proxy's own port, and its start. */
const proxies = {
  nginx: async (folder, server, port) => {
    const subject = ['-subj', '/CN=chat.example.org', '-days', '1', '-keyout', `${folder}/privkey.pem`, '-out', `${folder}/fullchain.pem`]
    await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', ...subject])
    const site = block('nginx').replaceAll('127.0.0.1:3000', server).replace('listen 443', `listen 127.0.0.1:${port}`).replaceAll('/etc/letsencrypt/live/chat.example.org', folder)
    const file = await checkNginx(folder, site)
    return { command: ['nginx', '-c', file], url: `https://127.0.0.1:${port}` }
  },
  caddy: async (folder, server, port) => {
    const file = await checkCaddy(folder, block('caddyfile'))
    const site = block('caddyfile').replace('127.0.0.1:3000', server).replace('chat.example.org', `http://127.0.0.1:${port}, http://chat.example.org:${port}`)
    await writeFile(file, `{\n\tadmin off\n}\n${site}`)
    return { command: ['caddy', 'run', '--config', file], url: `http://127.0.0.1:${port}` }
  },
}

/** Proxies for which the page has a line in its table, and no block. */
const others = {
  haproxy: async (folder, server, port) => {
    const timeouts = ['connect 5s', 'client 60s', 'server 60s'].map((time) => `\ttimeout ${time}\n`).join('')
    const file = path.join(folder, 'haproxy.cfg')
    await writeFile(file, `defaults\n\tmode http\n${timeouts}listen cubegate\n\tbind 127.0.0.1:${port}\n\toption forwardfor\n\tserver one ${server}\n`)
    return { command: ['haproxy', '-db', '-f', file], url: `http://127.0.0.1:${port}` }
  },
  apache2: async (folder, server, port) => {
    const modules = ['mpm_event', 'authz_core', 'proxy', 'proxy_http'].map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so\n`).join('')
    const own = ['ServerRoot', 'DefaultRuntimeDir'].map((name) => `${name} ${folder}\n`).join('')
    const file = path.join(folder, 'apache.conf')
    await writeFile(file, `${own}PidFile ${folder}/pid\nErrorLog ${folder}/log\nServerName chat.example.org\n${modules}Listen 127.0.0.1:${port}\nProxyPreserveHost On\nProxyPass / http://${server}/\n`)
    return { command: ['apache2', '-f', file, '-DFOREGROUND'], url: `http://127.0.0.1:${port}` }
  },
}

// Debian has most of them where only root looks.
const searched = { PATH: `${process.env.PATH}:/usr/sbin` }

/** The reason why the tests behind a proxy cannot run, or false. */
const missing = (name) => run(name, [name === 'caddy' ? 'version' : '-v'], { env: searched }).then(() => false, () => `needs ${name}`)

for (const [name, check, language] of [['nginx', checkNginx, 'nginx'], ['caddy', checkCaddy, 'caddyfile']]) {
  const skip = await missing(name)
  for (const [page, blocks] of Object.entries(all)) {
    for (const { line, text } of blocks.filter((block) => page !== 'docs/going-live.md' && is(block, language))) {
      test(`${page}:${line} is right for ${name}`, { skip }, async (t) => {
        const folder = await mkdtemp(path.join(tmpdir(), 'cubegate-proxy-'))
        t.after(() => rm(folder, { recursive: true, force: true }))
        await check(folder, text)
      })
    }
  }
}

for (const [name, proxy] of Object.entries({ ...proxies, ...others })) {
  describe(`behind ${name}`, { skip: await missing(name) }, () => {
    const children = []
    let folder, url

    before(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'cubegate-proxy-'))
      const server = start(process.env.CUBEGATE_BINARY, [], folder, { TRUSTED_PROXIES: '127.0.0.1' })
      children.push(server)
      const at = new URL(found(await banner(server), /(http:\S+)\/api\n/)).host
      const ready = await proxy(folder, at, await freePort())
      url = ready.url
      const [program, ...args] = ready.command
      children.push(spawn(program, args, { env: { ...searched, HOME: folder }, stdio: 'ignore' }))
      await listening(url, children.at(-1))
    })
    after(async () => {
      const [server, proxy] = children
      if (proxy) await stop(proxy).catch(() => {}) // HAProxy ends with the signal
      await stop(server)
      await rm(folder, { recursive: true, force: true })
    })

    test('the server sees the address of the client, not the one that it claims', async () => {
      const ada = { email: `ada@${name}.example.org`, firstName: 'Ada', lastName: 'Lovelace', password: 'correct horse' }
      const headers = { 'Content-Type': 'application/json', 'X-Forwarded-For': '203.0.113.9', Forwarded: 'for=203.0.113.9' }
      const { token } = await ask(`${url}/auth/register`, { method: 'POST', headers }, ada)
      const { sessions } = await ask(`${url}/auth/sessions`, { headers: { Authorization: `Bearer ${token}` } })
      assert.deepEqual(sessions.map((session) => session.address), ['127.0.0.2'])
    })

    test('an app gets the address of the sandbox by the host that it used', async () => {
      const headers = { 'Content-Type': 'application/json', Host: 'chat.example.org' }
      const { chat } = await ask(`${url}/auth/login`, { method: 'POST', headers }, { email: `ada@${name}.example.org`, password: 'correct horse' })
      assert.equal(new URL(chat.endpoint).hostname, 'chat.example.org')
    })

    test('the answers to HEAD, OPTIONS and a wrong token pass', async () => {
      assert.equal(await status(`${url}/healthz`, { method: 'HEAD' }), 200)
      assert.equal(await status(`${url}/api`, { method: 'OPTIONS' }), 204)
      assert.equal(await status(`${url}/auth/me`, { headers: { Authorization: 'Bearer no' } }), 401)
    })

    test('no log has the query of the verify route', { skip: name !== 'nginx' && 'it has no log unless one is configured' }, async () => {
      const denied = await ask(`${url}/auth/verify-connectycube?token=SECRET-OF-ADA`, {})
      assert.equal(denied.code, 'UNAUTHENTICATED')
      await ask(`${url}/readyz?the-others`, {})
      const log = await readFile(path.join(folder, 'log'), 'utf8')
      assert.match(log, /the-others/)
      assert.doesNotMatch(log, /SECRET-OF-ADA/)
    })
  })
}

/** Waits until the proxy passes a request on. */
async function listening(url, child) {
  await until(async () => child.exitCode !== null || (await ask(`${url}/healthz`, {})).status === 'ok', `${url} responds`)
  assert.equal(child.exitCode, null, `${child.spawnfile} has ended`)
}

/** The JSON of the answer to a request. */
async function ask(url, options, body) {
  const { text, statusCode } = await send(url, options, body)
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${statusCode} ${text}`)
  }
}

async function status(url, options, body) {
  return (await send(url, options, body)).statusCode
}

/** Sends a request from 127.0.0.2, which is no trusted proxy. */
function send(url, options, body) {
  const client = url.startsWith('https:') ? https : http
  return new Promise((resolve, reject) => {
    const request = client.request(url, { localAddress: '127.0.0.2', rejectUnauthorized: false, ...options }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
      response.on('end', () => resolve({ text, statusCode: response.statusCode }))
    })
    request.on('error', reject)
    request.end(body && JSON.stringify(body))
  })
}
