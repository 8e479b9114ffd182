// Many devices write to each other while sockets drop and fall silent, stanzas are
// delayed or refused, and REST fails. No message may be lost, and a message that arrives
// twice must be marked as delayed.
//
//	node e2e/soak.mjs [--clients 200] [--seconds 60] [--seed N] [--binary FILE]
//
// It builds and starts a sandbox, or starts FILE. If FILE was built with -race, a data
// race is a failure. The last line and the exit code report the result.
//
// The devices are official SDKs and do what an app must do: they send a ping to learn
// whether the server has handled a message, read the history after an unknown outcome,
// send a refused message again, and reconnect when a ping gets no reply. So a device sends
// a message until the history has it once.

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { banner, finished, found, start, stop } from './process.mjs'
import { patience, until } from './waiting.mjs'

const { values: flags } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 100000) },
    binary: { type: 'string' },
  },
})
const [clients, seconds, seed] = [flags.clients, flags.seconds, flags.seed].map(Number)
const circle = 10 // devices that share a group

// The generator mulberry32: a seed chooses the same victims and pauses again.
let state = seed
function random() {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

// A bug of SDK 6.1.2 would end the process: it sends receipts on closing sockets and
// drops the promise. sdk/mended.mjs has another one.
let broken = 0
process.on('unhandledRejection', (e) => {
  if (!/not connected|not open|closing|socket/i.test(e?.message)) throw e
  broken++
})
process.on('uncaughtException', (e) => {
  console.error(e?.message, e?.stack?.slice(-1500))
  abort()
})

const folder = await mkdtemp(path.join(tmpdir(), 'cubegate-soak-'))
const binary = flags.binary ? path.resolve(flags.binary) : path.join(folder, 'cubegate')
if (!flags.binary) {
  await finished(spawn('go', ['build', '-o', binary, '.'], { cwd: path.dirname(import.meta.dirname), stdio: 'inherit' }))
}
const server = start(binary, ['sandbox'], folder)
process.once('SIGTERM', abort) // a test that waited too long

/** Ends everything at once; the process leaves nothing behind. */
async function abort() {
  await stop(server, 'SIGKILL').catch(() => {})
  await rm(folder, { recursive: true, force: true })
  process.exit(1)
}

process.env.SANDBOX_URL = found(await banner(server), /REST API +(http:\S+)/)
const { control, drop, halfOpen } = await import('./cubegate.mjs')
const { hangUp, online, person, settled } = await import('./sdk/devices.mjs')

/** One device and what it wrote. */
class Writer {
  constructor(device) {
    this.device = device
    this.chat = device.sdk.chat
    this.places = [] // {to, dialog}: where it writes
    this.sent = [] // {id, dialog}, in order: what is in the history once
    this.given = new Set() // ids that did not make it, and must not turn up
    this.doing = 'nothing'
  }

  /** Writes something and returns when it is in the history. */
  async write({ to, dialog }, body) {
    for (;;) {
      await this.usable()
      const id = this.chat.send(to, { body, extension: { save_to_history: 1, dialog_id: dialog } })
      const handled = (await this.answers()) && (await this.device.hears('message-error', { id })).length === 0
      if (handled || (await this.stored(id, dialog))) {
        this.sent.push({ id, dialog })
        this.doing = 'nothing'
        return
      }
      this.given.add(id)
    }
  }

  /** Waits for the SDK's own reconnecting, which may be stuck in a handshake, then connects anew. */
  async usable() {
    this.doing = 'waiting for the connection'
    while (!(await this.online())) await this.anew()
  }

  async online() {
    for (const late = Date.now() + 5000; Date.now() < late; await sleep(50)) {
      if (this.chat.isConnected && this.chat.connectionStatus === 'online') return true
    }
    return false
  }

  /** Pings; false when the connection broke or is silent, in which case it is made anew. */
  async answers() {
    this.doing = 'pinging'
    const before = this.device.recorded.length
    let over = false
    const ping = this.chat.ping().then(() => true)
    const lost = (async () => {
      const late = Date.now() + 4000
      while (!over && Date.now() < late) {
        if (this.device.recorded.slice(before).some((e) => e.kind === 'disconnected')) return false
        await sleep(20)
      }
      return false
    })()
    const answered = await Promise.race([ping, lost])
    over = true
    if (!answered && this.chat.connectionStatus === 'online') await this.anew()
    return answered
  }

  /** Connects anew. What connect() says is no help: it is false, or nothing at all, when a reconnect was faster. */
  async anew() {
    this.doing = 'connecting'
    await this.chat.disconnect()
    this.chat.connect({ userId: this.device.id, password: this.device.owner.password }).catch(() => {})
    await this.online()
  }

  /** Asks the history about an outcome that is not known, once it must be settled. */
  async stored(id, dialog) {
    this.doing = 'asking the history'
    await sleep(1000)
    for (;;) {
      try {
        const { items } = await this.chat.message.list({ chat_dialog_id: dialog, _id: id, mark_as_read: 0 })
        return items.length > 0
      } catch {
        await sleep(200) // REST fails, too
      }
    }
  }
}

async function together() {
  const writers = []
  while (writers.length < clients) {
    const more = Array.from({ length: Math.min(10, clients - writers.length) }, () => person('soak').then((p) => online(p)))
    writers.push(...(await Promise.all(more)).map((device) => new Writer(device)))
  }
  for (const [i, writer] of writers.entries()) {
    const next = writers[(i + 1) % clients].device
    const { _id } = await writer.chat.dialog.create({ type: 3, occupants_ids: [next.id] })
    writer.places.push({ to: next.id, dialog: _id })
  }
  for (let i = 0; i < clients; i += circle) {
    const members = writers.slice(i, i + circle)
    const ids = members.map((w) => w.device.id)
    const { _id } = await members[0].chat.dialog.create({ type: 2, name: `circle ${i}`, occupants_ids: ids })
    for (const member of members) member.places.push({ to: _id, dialog: _id })
  }
  return writers
}

const onChat = (kind, more) => ({ on: 'chat', stanza: 'message', kind, seed, ...more })
const faults = [
  onChat('drop', { probability: 0.01 }),
  onChat('lost-answer', { probability: 0.01 }),
  onChat('refuse', { probability: 0.01 }),
  onChat('delay', { probability: 0.02, delay_ms: 100 }),
  { path: '/chat/message', kind: 'status', status: 503, probability: 0.2, seed },
  { path: '/chat/message', kind: 'reset', probability: 0.1, seed },
]

/** Lets the writers write and the faults happen; returns how often sockets were broken. */
async function storm(writers) {
  await control('PUT', 'faults', { faults })
  const end = Date.now() + seconds * 1000
  let breaks = 0
  const trouble = (async () => {
    while (Date.now() < end) {
      const { device } = writers[Math.floor(random() * clients)]
      await (random() < 0.1 ? halfOpen(device.id) : drop(device.id))
      breaks++
      await sleep(1000 / Math.max(1, clients / 20))
    }
  })()
  const writing = writers.map(async (writer) => {
    for (let n = 0; Date.now() < end; n++) {
      await writer.write(writer.places[n % writer.places.length], `${writer.device.id} ${n}`)
      await sleep(500 * random())
    }
  })
  await Promise.all([trouble, ...writing])
  await control('DELETE', 'faults')
  await Promise.all(
    writers.map(async (writer) => {
      do await writer.usable()
      while (!(await writer.answers()))
    }),
  )
  return breaks
}

async function history(writer, dialog) {
  const all = []
  for (;;) {
    const { items } = await writer.chat.message.list({ chat_dialog_id: dialog, mark_as_read: 0, limit: 100, skip: all.length })
    all.push(...items.map((m) => m._id))
    if (items.length < 100) return all
  }
}

/** Compares what was written with the histories and with what the devices heard. */
async function compare(writers) {
  const wrong = []
  const written = new Map() // dialog: ids
  for (const { sent, places } of writers) {
    for (const { dialog } of places) if (!written.has(dialog)) written.set(dialog, [])
    for (const { id, dialog } of sent) written.get(dialog).push(id)
  }
  for (const [dialog, ids] of written) {
    const kept = await history(writers.find((w) => w.places.some((p) => p.dialog === dialog)), dialog)
    if (new Set(kept).size !== kept.length) wrong.push(`dialog ${dialog} has an id twice`)
    const [want, got] = [new Set(ids), new Set(kept)]
    for (const id of want) if (!got.has(id)) wrong.push(`${id} was handled and is not in the history`)
    for (const id of got) if (!want.has(id)) wrong.push(`${id} is in the history, and its writer was told it is not`)
  }
  let [heard, repeated, missed] = [0, 0, 0]
  const known = new Set([...written.values()].flat())
  for (const { device } of writers) {
    const times = new Map() // id: the connection on which it was heard last
    let connection = 0
    for (const { kind, id, delay } of device.recorded) {
      if (kind === 'disconnected') connection++
      if (kind !== 'message') continue
      if (!known.has(id)) wrong.push(`${device.id} heard ${id}, which is in no history`)
      // What breaks off in the writing may have arrived: it comes again, and says that it is late.
      if (times.get(id) === connection || (times.has(id) && !delay)) wrong.push(`${device.id} heard ${id} twice`)
      else if (times.has(id)) repeated++
      times.set(id, connection)
    }
    heard += times.size
    const lost = expected(writers, device, written).filter((id) => !times.has(id))
    missed += lost.length
    if (connection === 0 && lost.length) wrong.push(`${device.id} was never disconnected and missed ${lost.length}`)
  }
  return { wrong, heard, repeated, missed, written: known.size }
}

/** What a device should hear: its groups, itself included, and what others write to it alone. */
function expected(writers, device, written) {
  const index = writers.findIndex((w) => w.device === device)
  const [, group] = writers[index].places
  const [toMe] = writers[(index + clients - 1) % clients].places
  return [...written.get(group.dialog), ...written.get(toMe.dialog)]
}

/** Whether the sandbox lets go of all sockets. */
const empty = () => until(async () => (await control('GET', 'state')).sockets.length === 0, 'no socket is left').catch(() => false)

let failed = true
let writers = []
let phase = 'coming together'
const limit = setTimeout(() => {
  console.log(`seed ${seed}: it does not come to an end`)
  console.log(`${phase}: ${writers.filter((w) => w.doing !== 'nothing').map((w) => `${w.device.id} ${w.doing} ${w.chat.connectionStatus}`)}`)
  abort()
}, seconds * 1000 + 4 * patience)
try {
  writers = await together()
  const began = Date.now()
  phase = 'storm'
  const breaks = await storm(writers)
  phase = 'settling'
  await settled(...writers.map((w) => w.device))
  phase = 'comparing'
  const { wrong, heard, repeated, missed, written } = await compare(writers)
  const again = writers.reduce((n, w) => n + w.given.size, 0)
  console.log(
    `seed ${seed}: ${clients} devices, ${((Date.now() - began) / 1000).toFixed(0)} s, ${breaks} sockets broken, ` +
      `${written} messages written, ${again} written again, ${heard} heard at once, ${repeated} once more after a break, ${missed} found in the history only, ` +
      `${broken} faults of the SDK`,
  )
  phase = 'hanging up'
  await hangUp()
  await drop() // those that fell silent
  if (!(await empty())) wrong.push('sockets remain that no client has')
  for (const line of wrong.slice(0, 20)) console.log(line)
  failed = wrong.length > 0 || written === 0 || breaks === 0
  console.log(failed ? `${wrong.length} wrong` : 'nothing lost, nothing twice')
} finally {
  clearTimeout(limit)
  await stop(server).catch((e) => {
    console.log(e.message) // of its own, or after a race
    failed = true
  })
  await rm(folder, { recursive: true, force: true })
  process.exitCode = failed ? 1 : 0
}
