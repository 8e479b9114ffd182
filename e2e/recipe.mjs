// A chat that does not die: what an app does so that its user never logs in
// twice. The README shows this file, and expiries.test.mjs runs it.

/** A login at cubegate. Keep `state` where the platform keeps secrets. */
export class Login {
  #renewing

  constructor(server, { state, fetch = globalThis.fetch, onRenewed = () => {} } = {}) {
    Object.assign(this, { server, state, fetch, onRenewed })
  }

  async start(email, password, device) {
    return this.#keep(await this.#post('/auth/login', { email, password, device }))
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
        const { chatStatus } = this.#keep(await this.#post('/auth/refresh', { refreshToken: this.state.refreshToken }))
        if (chatStatus === 'READY') return
        if (chatStatus !== 'PENDING' && chatStatus !== 'UNAVAILABLE') throw Object.assign(new Error(chatStatus), { status: 401 })
      } catch (e) {
        if (e.status && e.status < 500 && e.status !== 429) throw e // 401: the user has to log in again
      }
      await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)))
    }
  }

  async #post(path, body) {
    const response = await this.fetch(this.server + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    })
    const answer = await response.json()
    if (!response.ok) throw Object.assign(new Error(answer.detail), { status: response.status, code: answer.code })
    return answer
  }

  #keep(state) {
    this.state = state
    this.onRenewed(state)
    return state
  }
}

/** ConnectyCube's SDK with a login under it. */
export class Chat {
  #connecting

  constructor(cube, login, config) {
    Object.assign(this, { cube, login })
    // We reconnect ourselves: the SDK would dial for ever with a password that has expired.
    cube.init({ appId: config.appId, token: login.state.connectySession }, { ...config, chat: { ...config.chat, reconnect: { enable: false } } })
    login.onRenewed = (state) => cube.setSession({ token: state.connectySession })
    cube.chat.onDisconnectedListener = () => this.#closed || this.connect()
  }

  #closed = false

  /** Comes into chat, and comes back whenever the connection is lost. */
  connect() {
    return (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)))
  }

  async #connect() {
    for (let wait = 100; !this.#closed; wait = Math.min(2 * wait, 10_000)) {
      const { userId, password } = this.login.state.chat
      try {
        if (await this.cube.chat.connect({ userId, password })) return
      } catch (e) {
        if (e === 'not-authorized') await this.login.refresh()
      }
      await this.cube.chat.disconnect() // leaves the SDK ready for another try
      await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)))
    }
  }

  /** Runs a call of the SDK; when the session is over, renews it and runs it again. */
  async call(work) {
    for (let tries = 5; ; tries--) {
      try {
        return await work(this.cube)
      } catch (e) {
        if (e?.code !== 401 || tries === 0) throw e
        await this.login.refresh()
      }
    }
  }

  async close() {
    this.#closed = true
    await this.cube.chat.disconnect()
  }
}
