// The test page: one SDK, driven by chat.test.mjs.

import { listen } from './listen.mjs'

const { ConnectyCube } = window.ConnectyCube

window.heard = []

window.start = ({ credentials, settings }) => {
  window.sdk = new ConnectyCube()
  window.sdk.init(credentials, settings)
  listen(window.sdk.chat, (event) => window.heard.push(event))
}

/** Calls the SDK's member at a path, and returns what came of it as data. */
window.call = async ({ path, args }) => {
  const names = path.split('.')
  const last = names.pop()
  const owner = names.reduce((object, name) => object[name], window.sdk)
  try {
    return { value: await owner[last](...args) }
  } catch (e) {
    return { thrown: e instanceof Error ? { ...e, name: e.name, message: e.message } : e }
  }
}

window.deviceStatus = () => {
  const { isConnected, connectionStatus, xmppClient } = window.sdk.chat
  return { connected: isConnected, status: connectionStatus, jid: xmppClient.jid?.toString() }
}
