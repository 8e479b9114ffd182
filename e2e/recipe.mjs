// A chat that does not die: what an app does so that its user never logs in
// twice. The README shows this file, and expiries.test.mjs runs it.

const pause = (wait) => new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)))

/**
 * A login at cubegate. `save` puts its state where the platform keeps secrets,
 * and `state` is what was saved when the app ran last. `onOver` is called when
 * the user has to log in again.
 */
export class Login {
  #renewing
  #listeners = []

  constructor(server, { state, save = async () => {}, onOver = () => {}, fetch = globalThis.fetch } = {}) {
    Object.assign(this, { server, state, save, onOver, fetch })
  }

  async start(email, password, device) {
    const token = this.state?.deviceToken // of the last login on this device
    return this.#keep(await this.#post('/auth/login', { email, password, device: token ? { ...device, token } : device }))
  }

  /** Calls back with every new state. */
  listen(listener) {
    this.#listeners.push(listener)
  }

  /**
   * Renews everything: access token, ConnectyCube session, refresh token. However
   * many ask at once, one request goes out. If its answer gets lost, the same
   * token is good for another try.
   */
  refresh() {
    return (this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined)))
  }

  async #renew() {
    for (let wait = 200; ; wait = Math.min(2 * wait, 10_000)) {
      try {
        return await this.#keep(await this.#post('/auth/refresh', { refreshToken: this.state.refreshToken }))
      } catch (e) { // what could not be saved is as good as lost
        if (e.code && e.status < 500 && e.status !== 429) throw this.over(e) // without a code, it was a proxy's word
      }
      await pause(wait)
    }
  }

  /** Renews until there is a ConnectyCube session. */
  async ready() {
    for (let wait = 200; ; wait = Math.min(2 * wait, 10_000)) {
      const { chatStatus } = await this.refresh()
      if (chatStatus === 'READY') return
      if (chatStatus !== 'PENDING' && chatStatus !== 'UNAVAILABLE') throw this.over(new Error(chatStatus))
      await pause(wait)
    }
  }

  over(error) {
    this.onOver(error)
    return Object.assign(error, { over: true })
  }

  async #post(path, body) {
    const response = await this.fetch(this.server + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    })
    if (response.ok) return response.json()
    const problem = await response.json().catch(() => ({})) // a proxy's page
    throw Object.assign(new Error(problem.detail ?? response.statusText), { status: response.status, code: problem.code })
  }

  /** Saves before anybody uses it: a token that is forgotten looks stolen later. */
  async #keep(state) {
    state.deviceToken ??= this.state?.deviceToken ?? null
    await this.save(state)
    this.state = state
    for (const listener of this.#listeners) listener(state)
    return state
  }
}

/** ConnectyCube's SDK with a login under it. */
export class Chat {
  #connecting
  #closed = false

  constructor(cube, login, config) {
    Object.assign(this, { cube, login })
    // We reconnect ourselves: the SDK would dial for ever with a password that has expired.
    cube.init({ appId: config.appId, token: login.state.connectySession }, { ...config, chat: { ...config.chat, reconnect: { enable: false } } })
    login.listen(({ connectySession }) => connectySession && cube.setSession({ token: connectySession }))
    cube.chat.onDisconnectedListener = () => this.#closed || this.connect().catch((e) => { if (!e.over) throw e })
  }

  /** Comes into chat, and comes back whenever the connection is lost. */
  connect() {
    return (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)))
  }

  async #connect() {
    const known = this.login.state.chat
    let stale = !known?.password || Date.parse(known.expiresAt) < Date.now()
    for (let wait = 100; !this.#closed; wait = Math.min(2 * wait, 10_000)) {
      if (stale) await this.login.ready()
      stale = false
      const { userId, password } = this.login.state.chat
      try {
        if (await this.cube.chat.connect({ userId, password })) return this.#closed && this.cube.chat.disconnect()
      } catch (e) {
        stale = e === 'not-authorized'
      }
      await this.cube.chat.disconnect() // leaves the SDK ready for another try
      await pause(wait)
    }
  }

  /** Runs a call of the SDK; when the session is over, renews it and runs it again. */
  async call(work) {
    for (let tries = 5; ; tries--) {
      try {
        return await work(this.cube)
      } catch (e) {
        if (e?.code !== 401 || tries === 0) throw e
        await this.login.ready()
      }
    }
  }

  async close() {
    this.#closed = true
    await this.cube.chat.disconnect()
  }
}
