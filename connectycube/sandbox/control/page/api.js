// Requests to the control area, and the state of the connection to it.

import { useEffect, useRef, useState } from './vendor/hooks.js'
import { keep, kept } from './kept.js'

const patience = 15_000 // ms
const pause = 1_500 // ms between two readings of a list

/** Sets the control token, until the tab closes. */
export const setToken = (text) => keep('token', text)

export const hasToken = () => kept('token') !== undefined

let listener = () => {}

/** Calls hear with each new state of the connection: 'open', 'denied' or 'lost'. */
export function onConnection(hear) {
  listener = hear
}

/** Sends a request. Without an answer it throws an Error in plain words, as browsers say "Failed to fetch". */
export async function send(path, options) {
  try {
    return await fetch(path, options)
  } catch (cause) {
    throw new Error('The sandbox cannot be reached.', { cause })
  }
}

/** Asks the control area. A refusal is an Error with a status. */
export async function ask(method, path, body, signal) {
  const headers = {}
  const token = kept('token')
  if (token) headers['X-Sandbox-Token'] = token
  if (body) headers['Content-Type'] = 'application/json'
  const ends = [AbortSignal.timeout(patience), ...(signal ? [signal] : [])]
  let response
  try {
    response = await send('/_sandbox/' + path, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.any(ends) })
  } catch (error) {
    if (!signal?.aborted) listener('lost')
    throw error
  }
  const text = await response.text()
  listener(response.status === 403 && text.includes('control area') ? 'denied' : 'open')
  let answer = {}
  try {
    answer = JSON.parse(text)
  } catch {
    // A proxy may answer with a page.
  }
  if (!response.ok) throw Object.assign(new Error(answer.error ?? `The sandbox answered ${response.status}.`), { status: response.status })
  return answer
}

/** Adds a user or a dialog, and returns what the sandbox made of it. */
export async function seed(content) {
  try {
    return await ask('POST', 'seed', content)
  } catch (error) {
    error.message = error.message.replace(/^seed: (\w+\[0\]: )?/gm, '') // the form has one of them
    throw error
  }
}

/** Builds a path with a query of the values that are not empty. */
export function withQuery(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== '' && value !== undefined && value !== false))
  return query.size ? `${path}?${query}` : path
}

/**
 * Reads a path again and again while the tab is visible. It
 * returns the last answer for this path, the error, and a function that reads at once.
 * path '' reads nothing; with paused it reads once.
 */
export function usePoll(path, { paused = false } = {}) {
  const [state, setState] = useState({})
  const now = useRef(() => {})
  useEffect(() => {
    if (!path) return undefined
    const gone = new AbortController()
    let timer, last
    let newest = 0 // the number of the last reading: the answer of an older one must not replace its answer
    const read = async () => {
      clearTimeout(timer)
      const mine = ++newest
      const counts = () => mine === newest && !gone.signal.aborted
      try {
        const answer = await ask('GET', path, undefined, gone.signal)
        const text = JSON.stringify(answer)
        if (text !== last && counts()) setState({ path, data: answer })
        if (counts()) last = text
      } catch (error) {
        if (counts() && error.status) {
          last = undefined // the next answer replaces the error, even if it is as before
          setState({ path, error })
        }
      }
      if (counts() && !paused) timer = setTimeout(look, pause)
    }
    const look = () => (document.hidden ? (timer = setTimeout(look, pause)) : read())
    now.current = read
    read()
    return () => {
      gone.abort()
      clearTimeout(timer)
    }
  }, [path, paused])
  return { data: state.data, error: state.path === path ? state.error : undefined, isCurrent: state.path === path, reload: () => now.current() }
}
