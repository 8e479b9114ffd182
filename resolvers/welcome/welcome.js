// Registers a first user, and shows what to do with it. Nothing is stored in the browser.

const root = new URL('.', location.href)
const $ = (id) => document.getElementById(id)

/** Returns random letters and digits without those that look alike. */
function random(length) {
  const letters = 'abcdefghijkmnpqrstuvwxyz23456789' // 32, so that each is as likely
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => letters[byte % 32]).join('')
}

const people = [['Ada', 'Lovelace'], ['Grace', 'Hopper'], ['Alan', 'Turing'], ['Edsger', 'Dijkstra']]
let registered = 0 // users, by this page

function newUser() {
  const [firstName, lastName] = people[registered % people.length]
  return { email: `${firstName.toLowerCase()}-${random(6)}@example.org`, firstName, lastName, password: random(16) }
}

/** Registers a user and returns the reply. Each Error says in plain words what is wrong. */
async function register(user) {
  const response = await fetch(new URL('auth/register', root), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(user),
  }).catch((cause) => {
    throw new Error('the server does not answer. Does it still run?', { cause })
  })
  const reply = await response.json().catch(() => ({})) // a proxy may answer with a page
  if (reply.token) return reply
  throw new Error(reply.code ? `${reply.detail} (${reply.code})` : `the server answered with status ${response.status}`)
}

function show(user, reply) {
  registered++
  $('email').textContent = user.email
  $('password').textContent = user.password
  $('token').textContent = reply.token
  $('curl').textContent = `curl ${new URL('auth/me', root)} -H 'Authorization: Bearer ${reply.token}'`
  $('intro').hidden = true
  $('user').hidden = false
  $('user').focus()
  $('register').textContent = 'Register another user'
}

$('register').addEventListener('click', async () => {
  const user = newUser()
  $('register').disabled = true
  $('failure').hidden = true
  $('copied').textContent = ''
  try {
    show(user, await register(user))
  } catch (e) {
    $('failure').textContent = `The registration failed: ${e.message}`
    $('failure').hidden = false
  } finally {
    $('register').disabled = false
  }
})

/** Selects an element's text, and copies it. Browsers copy by themselves on https and localhost only. */
async function copy(element) {
  getSelection().selectAllChildren(element)
  try {
    await navigator.clipboard.writeText(element.textContent)
    return true
  } catch {
    return document.execCommand('copy')
  }
}

for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', async () => {
    const done = await copy($(button.dataset.copy))
    $('copied').textContent = done ? 'Copied.' : 'The browser forbids it: the text is selected, copy it with the keyboard.'
  })
}
