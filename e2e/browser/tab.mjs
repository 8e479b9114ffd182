// The test page of tabs.test.mjs: an app with the recipe of docs/login-sessions.md,
// whose login is in the storage that all its tabs share.

import { Chat, Login } from './recipe.mjs'

const { ConnectyCube } = window.ConnectyCube

window.over = []
window.counts = { refreshes: 0, lost: 0, doubled: 0 }

/** A network that loses answers, and delivers requests twice. */
async function weak(address, request) {
  if (!address.endsWith('/auth/refresh')) return fetch(address, request)
  window.counts.refreshes++
  const { lost, doubled } = await window.fate()
  if (doubled) {
    window.counts.doubled++
    fetch(address, { ...request, signal: undefined }).catch(() => {})
  }
  const response = await fetch(address, request)
  if (!lost) return response
  window.counts.lost++
  await response.text()
  throw new TypeError('Failed to fetch')
}

window.open = async ({ server, config, withoutLocks }) => {
  if (withoutLocks) Object.defineProperty(navigator, 'locks', { value: undefined })
  const load = async () => JSON.parse(localStorage.getItem('login'))
  window.login = new Login(server, {
    state: await load(),
    load,
    save: async (state) => localStorage.setItem('login', JSON.stringify(state)),
    onOver: (e) => window.over.push(e.message),
    fetch: weak,
  })
  window.start = async (email, password) => {
    await window.login.start(email, password)
    window.chat = new Chat(new ConnectyCube(), window.login, config)
  }
  if (window.login.state?.refreshToken) window.chat = new Chat(new ConnectyCube(), window.login, config)
}

/** What an app does all day: a call, which renews the login when it has to. */
window.work = async () => (await window.chat.call((cube) => cube.chat.dialog.list())).items.length
