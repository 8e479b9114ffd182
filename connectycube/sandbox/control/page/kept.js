// What the page remembers until the browser's tab closes, across its own tabs and a reload:
// the control token, searches, filters and drafts.

import { useEffect, useState } from './vendor/hooks.js'

const memory = new Map() // for a browser whose storage is forbidden or full

/** Remembers a value under a name; forgets an empty one. */
export function keep(name, value) {
  if (value) memory.set(name, value)
  else memory.delete(name)
  try {
    if (value) sessionStorage.setItem('sandbox-' + name, JSON.stringify(value))
    else sessionStorage.removeItem('sandbox-' + name)
  } catch {
    // The memory has it until the page is left.
  }
}

/** Returns what was remembered, or undefined. */
export function kept(name) {
  try {
    return memory.get(name) ?? JSON.parse(sessionStorage.getItem('sandbox-' + name)) ?? undefined
  } catch {
    return undefined
  }
}

/** A state that is remembered under a name. It begins with given, unless that is empty, else with what was remembered, else with start. */
export function useKept(name, start, given) {
  const [value, setValue] = useState(() => given || (kept(name) ?? start))
  useEffect(() => keep(name, value), [name, value])
  return [value, setValue]
}
