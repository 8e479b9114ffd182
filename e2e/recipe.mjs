// A login and a chat that stay alive, so that the user logs in only once.
// docs/login-sessions.md shows this file, and expiries.test.mjs runs it.

const pause = (wait) => new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)))

/**
 * A login at cubegate. `save` stores its state where the platform keeps secrets,
 * `load` reads it, and `state` is the state that the last run of the app saved.
 * Tabs and processes that share the storage share the login. `lock` is its name
 * within the origin of a web page. `onOver` is called when the user must log in
 * again.
 */
export class Login {
  #renewing
  #left = false
  #listeners = []

  constructor(server, { state, load, save = async () => {}, lock = 'cubegate login', onOver = () => {}, fetch = globalThis.fetch } = {}) {
    Object.assign(this, { server, state, save, lock, onOver, fetch, load: load ?? (async () => this.state) })
  }

  async start(email, password, device) {
    const token = this.state?.deviceToken // of the last login on this device
    this.#left = false
    return this.#alone(async () => this.#keep(await this.#post('/auth/login', { email, password, device: token ? { ...device, token } : device })))
  }

  /** Calls back with every new state. */
  listen(listener) {
    this.#listeners.push(listener)
  }

  /**
   * Renews the access token, the ConnectyCube session and the refresh token.
   * Concurrent calls share one request. If its reply is lost, the next try sends
   * the same token.
   */
  refresh() {
    return (this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined)))
  }

  async #renew() {
    let late // a token that the server has called stale once
    for (let wait = 200; ; wait = Math.min(2 * wait, 10_000)) {
      try {
        return await this.#alone(() => this.#exchange())
      } catch (e) { // a reply that was not saved counts as lost
        if (e.over) throw e
        if (e.code === 'STALE_REFRESH_TOKEN') { // another tab was faster, or a thief
          if (await this.#stored().then((stored) => stored.refreshToken !== e.token, () => true)) continue
          if (late === e.token) throw this.over(e)
          late = e.token
          await new Promise((resolve) => setTimeout(resolve, 1000 * e.retryAfter + 500))
          continue
        }
        if (e.code && e.status < 500 && e.status !== 429) throw this.over(e) // a reply without a code is from a proxy
      }
      await pause(wait)
    }
  }

  /** Reads the storage first: another tab may have renewed or ended the login. */
  async #exchange() {
    const mine = this.state?.refreshToken
    const stored = await this.#stored()
    const token = stored.refreshToken
    if (this.#left || !token) throw this.over(new Error('logged out'))
    if (token !== mine && Math.abs(Date.now() - stored.renewedAt) < 30_000) return this.#use(stored)
    try {
      return await this.#keep(await this.#post('/auth/refresh', { refreshToken: token }))
    } catch (e) {
      throw Object.assign(e, { token })
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

  /**
   * Logs out in all tabs at once, then tells the server, until it replies. The
   * server accepts any refresh token of the login.
   */
  async logout() {
    this.#left = true
    const { refreshToken } = await this.#alone(async () => {
      const stored = await this.#stored().catch(() => this.state)
      this.state = { deviceToken: stored?.deviceToken ?? null }
      await this.save(this.state).catch(() => {}) // the server ends the login in any case
      return stored ?? {}
    })
    for (let wait = 200; refreshToken; wait = Math.min(2 * wait, 10_000)) {
      try {
        return await this.#post('/auth/logout', { refreshToken })
      } catch (e) {
        if (e.code && e.status < 500 && e.status !== 429) return
      }
      await pause(wait)
    }
  }

  over(error) {
    this.onOver(error)
    return Object.assign(error, { over: true })
  }

  async #stored() {
    return (await this.load()) ?? {}
  }

  /** Lets one tab work at a time, if the platform has locks. */
  #alone(work) {
    const locks = globalThis.navigator?.locks
    return locks ? locks.request(this.lock, work) : work()
  }

  async #post(path, body) {
    const response = await this.fetch(this.server + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
    })
    if (response.ok) return response.status === 204 ? undefined : response.json()
    const problem = await response.json().catch(() => ({})) // a proxy's page
    const retryAfter = Number(response.headers.get('Retry-After') ?? 30) // seconds
    throw Object.assign(new Error(problem.detail ?? response.statusText), { status: response.status, code: problem.code, retryAfter })
  }

  /** Saves the state before its first use: a lost token would look stolen later. */
  async #keep(state) {
    if (this.#left) throw this.over(new Error('logged out'))
    state.deviceToken ??= this.state?.deviceToken ?? null
    state.renewedAt = Date.now() // by this clock; expiresIn counts from here
    await this.save(state)
    return this.#use(state)
  }

  #use(state) {
    this.state = state
    for (const listener of this.#listeners) listener(state)
    return state
  }
}

/** ConnectyCube's SDK, kept connected by a login. */
export class Chat {
  #connecting
  #closed = false

  constructor(cube, login, config) {
    Object.assign(this, { cube, login })
    // This class reconnects: the SDK would retry forever with an expired password.
    cube.init({ appId: config.appId, token: login.state.connectySession }, { ...config, chat: { ...config.chat, reconnect: { enable: false } } })
    login.listen(({ connectySession }) => connectySession && cube.setSession({ token: connectySession }))
    cube.chat.onDisconnectedListener = () => this.#closed || this.connect().catch((e) => { if (!e.over) throw e })
  }

  /** Connects, and reconnects whenever the connection is lost. */
  connect() {
    return (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)))
  }

  async #connect() {
    const { chat: known, renewedAt } = this.login.state
    let stale = !known?.password || !(Date.now() - renewedAt < 1000 * known.expiresIn)
    for (let wait = 100; !this.#closed; wait = Math.min(2 * wait, 10_000)) {
      if (stale) await this.login.ready()
      stale = false
      const { userId, password } = this.login.state.chat
      try {
        if (await this.cube.chat.connect({ userId, password })) return this.#closed && this.cube.chat.disconnect()
      } catch (e) {
        stale = e === 'not-authorized'
      }
      await this.cube.chat.disconnect() // so that the SDK can connect again
      await pause(wait)
    }
  }

  /** Runs a call of the SDK. If the session has expired, renews it and runs the call again. */
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
