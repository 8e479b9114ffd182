// Uploads files in the name of a user, with the requests that an app sends.

import { ask, send } from './api.js'

const maxName = 100 // characters, as in REST

/** Uploads files and returns the attachments of a message that has them. */
export async function upload(user, files) {
  if (!files.length) return []
  const { token } = await ask('POST', `users/${user}/session`, {})
  try {
    const attachments = []
    for (const file of files) attachments.push(await uploadOne(token, file))
    return attachments
  } finally {
    await request('DELETE', '/session', token).catch(() => {}) // it ends by itself after two hours
  }
}

async function uploadOne(token, file) {
  const type = file.type || 'application/octet-stream'
  const name = [...file.name].slice(-maxName).join('') // with its extension
  const { blob } = await request('POST', '/blobs.json', token, { blob: { content_type: type, name, public: true } })
  const target = new URL(blob.blob_object_access.params)
  const form = new FormData()
  for (const [key, value] of target.searchParams) form.append(key, value)
  form.append('file', file, name)
  await request('POST', target.pathname, token, form)
  await request('PUT', `/blobs/${blob.id}/complete.json`, token, { blob: { size: file.size } })
  const kind = type.split('/')[0]
  return {
    type: ['image', 'video', 'audio'].includes(kind) ? kind : 'file',
    id: blob.uid, uid: blob.uid, name, size: String(file.size), 'content-type': type, url: `${location.origin}/blobs/${blob.uid}`,
  }
}

/** Sends a request of the REST API. A refusal is an Error. */
async function request(method, path, token, body) {
  const isForm = body instanceof FormData
  const headers = { 'CB-Token': token, ...(body && !isForm && { 'Content-Type': 'application/json' }) }
  const response = await send(path, { method, headers, body: isForm ? body : body && JSON.stringify(body) })
  const text = await response.text()
  if (!response.ok) throw new Error(`The upload failed: ${method} ${path} answered ${response.status} ${text.slice(0, 200)}`)
  return text.startsWith('{') ? JSON.parse(text) : {}
}
