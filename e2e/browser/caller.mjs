// The test page of a call: one SDK, driven by calls.test.mjs.

const { ConnectyCube } = window.ConnectyCube

window.events = []
const note = (kind, fields = {}) => window.events.push({ kind, ...fields })

/** Makes a place to play a user's stream in. */
function play(id) {
  if (!document.getElementById(id)) document.body.append(Object.assign(document.createElement('video'), { id, autoplay: true }))
}

/** The calls that this page knows, by their IDs. */
const calls = {}

window.enter = async ({ credentials, settings, person }) => {
  const sdk = (window.sdk = new ConnectyCube())
  sdk.init(credentials, settings)
  Object.assign(sdk.videochat, {
    onCallListener: (session, info) => note('call', { id: (calls[session.ID] = session).ID, info, from: session.initiatorID, type: session.callType }),
    onAcceptCallListener: (session, user, info) => note('accepted', { id: session.ID, user, info }),
    onRejectCallListener: (session, user, info) => note('rejected', { id: session.ID, user, info }),
    onStopCallListener: (session, user, info) => note('stopped', { id: session.ID, user, info }),
    onSessionCloseListener: (session) => note('closed', { id: session.ID }),
    onRemoteStreamListener: (session, user, stream) => {
      play(`remote-${user}`) // a stream that is not played is not decoded
      session.attachMediaStream(`remote-${user}`, stream)
      note('stream', { id: session.ID, user, kinds: stream.getTracks().map((t) => t.kind).sort() })
    },
  })
  sdk.chat.xmppClient.timeout = 60_000 // ms for a handshake; its own two seconds are little on a busy machine
  await sdk.createSession({ login: person.login, password: person.password })
  await sdk.chat.connect({ userId: person.id, password: person.password })
  await sdk.chat.ping() // its presence has arrived
}

const devices = (session) => session.getUserMedia({ audio: true, video: true, elementId: 'local', options: { muted: true } })

window.dial = async ({ to, info }) => {
  const session = window.sdk.videochat.createNewSession(to, 1)
  calls[session.ID] = session
  await devices(session)
  session.call(info)
  return session.ID
}

window.answer = async ({ id, info }) => {
  await devices(calls[id])
  calls[id].accept(info)
}

window.decline = ({ id, info }) => calls[id].reject(info)

window.hangUp = ({ id, info }) => calls[id].stop(info)

/** What has arrived from another user: frames of the picture, and sound that is not silence. */
window.received = async ({ id, from }) => {
  const peer = calls[id].peerConnections[from]?.original
  const heard = { frames: 0, energy: 0 }
  for (const report of (await peer?.getStats())?.values() ?? []) {
    if (report.type !== 'inbound-rtp') continue
    if (report.kind === 'video') heard.frames += report.framesDecoded ?? 0
    else heard.energy += report.totalAudioEnergy ?? 0
  }
  return heard
}

/** Asks to join a conference, and returns why not. */
window.confer = async () => {
  const session = window.sdk.videochatconference.createNewSession()
  return session.join('5c0d4f95ca8bf4291e8d3c2d', window.sdk.chat.currentUserId, 'Ada').then(() => 'joined', (e) => String(e?.message ?? e))
}
