// What an SDK's chat tells its app, recorded. Runs in Node and in a page.

/** Calls record with one plain object for each thing that the SDK reports. */
export function listen(chat, record) {
  const report = (listener, kind, ...names) => {
    chat[listener] = (...values) => record({ kind, ...Object.fromEntries(names.map((name, i) => [name, values[i]])) })
  }
  // A delay is an element of the SDK's XML library; its stamp is what counts.
  chat.onMessageListener = (from, m) => record({ kind: 'message', from, ...m, delay: m.delay?.attrs.stamp ?? null })
  chat.onSystemMessageListener = (m) => record({ kind: 'system', id: m.id, from: m.userId, body: m.body, extension: m.extension })
  chat.onConnectionErrorListener = (e) => record({ kind: 'connection-error', condition: e?.condition ?? String(e) })
  chat.onSentMessageCallback = (lost, sent) => record({ kind: 'sent', id: sent?.id ?? null, lost: lost?.id ?? null })
  // What the SDK drops without a word, such as a copy of what it sent itself.
  chat.xmppClient.on('element', (e) => {
    if (e.name === 'message') record({ kind: 'stanza', xml: e.toString() })
  })
  report('onMessageErrorListener', 'message-error', 'id', 'error')
  report('onDeliveredStatusListener', 'delivered', 'id', 'dialog', 'from')
  report('onReadStatusListener', 'read', 'id', 'dialog', 'from')
  report('onMessageTypingListener', 'typing', 'on', 'from', 'dialog')
  report('onMessageUpdateListener', 'edit', 'id', 'last', 'body', 'dialog', 'from')
  report('onMessageDeleteListener', 'delete', 'id', 'dialog', 'from')
  report('onMessageReactionsListener', 'reaction', 'id', 'from', 'dialog', 'add', 'remove')
  report('onLastUserActivityListener', 'activity', 'from', 'seconds')
  report('onJoinOccupant', 'join', 'dialog', 'user')
  report('onLeaveOccupant', 'leave', 'dialog', 'user')
  report('onDisconnectedListener', 'disconnected')
  report('onReconnectListener', 'reconnected')
}
