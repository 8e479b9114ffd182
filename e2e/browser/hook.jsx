// An app with the official React hook: it shows what the hook tells it, and
// hook.test.mjs, which bundles it, calls the hook's functions in window.hook.
// window.kit says where ConnectyCube is.

import { initConnectyCube, useConnectyCube } from '@connectycube/react'
import ConnectyCube from 'connectycube'
import { createRoot } from 'react-dom/client'

const { appId, authKey, config } = window.kit
initConnectyCube({ appId, authKey }, config)
ConnectyCube.chat.xmppClient.timeout = 60_000 // ms for a handshake; its own two seconds are little on a busy machine

function Messages({ list }) {
  return list.map(({ _id, message, status, attachments }) => (
    <li key={_id} id={_id}>
      {`${message}: ${status}`}
      {attachments?.map(({ uid, url, type }) => <a key={uid} href={url}>{type}</a>)}
    </li>
  ))
}

function App() {
  const hook = (window.hook = useConnectyCube())
  const { chatStatus, dialogs, unreadMessagesCount, selectedDialog, messages, typingStatus, users, blockedUsers, lastActivity } = hook
  const named = (ids) => ids.map((id) => users[id]?.full_name ?? id).sort().join(', ')
  return (
    <>
      <p id="status">{chatStatus}</p>
      <ul id="chats">
        {dialogs.map(({ _id, name, last_message, occupants_ids }) => (
          <li key={_id} id={_id} title={named(occupants_ids)}>{`${name}: ${last_message ?? 'nothing'} (${unreadMessagesCount[_id]} new)`}</li>
        ))}
      </ul>
      <p id="typing">{named(Object.values(typingStatus).flat())}</p>
      <p id="blocked">{named(blockedUsers)}</p>
      <p id="seen">{Object.entries(lastActivity).map(([id, when]) => `${named([id])}: ${when}`)}</p>
      <ul id="messages">{selectedDialog && <Messages list={messages[selectedDialog._id] ?? []} />}</ul>
      <input type="file" onChange={({ target }) => hook.sendAttachment([...target.files])} />
    </>
  )
}

createRoot(document.getElementById('app')).render(<App />)
