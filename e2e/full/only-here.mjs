// Preloaded into the process of an app (node --import): no connection leaves this machine.
// One that would is refused before its name is looked up, and its host is printed.

import dns from 'node:dns'
import net from 'node:net'

const here = ['localhost', '127.0.0.1', '::1']
const refuse = (host) => {
  console.log(`\nrefused: ${host}`)
  return Object.assign(new Error(`${host} is not this machine`), { code: 'ECONNREFUSED' })
}

// fetch, https, tls and WebSocket all connect by this method
const connect = net.Socket.prototype.connect
net.Socket.prototype.connect = function (...args) {
  const options = [args[0]].flat()[0]
  const host = (typeof options === 'object' ? options.host : args[1]) ?? 'localhost'
  if (here.includes(host)) return connect.apply(this, args)
  process.nextTick(() => this.destroy(refuse(host)))
  return this
}

const lookup = dns.lookup
dns.lookup = function (host, ...rest) {
  if (here.includes(host)) return lookup.call(this, host, ...rest)
  process.nextTick(rest.at(-1), refuse(host))
}
