// An app with the official React hook, as its README uses it: kits.test.mjs
// bundles this and says in window.kit where ConnectyCube is and who has logged in.

import { initConnectyCube, useConnectyCube } from '@connectycube/react'
import { useEffect } from 'react'
import { createRoot } from 'react-dom/client'

const { appId, authKey, config, session } = window.kit
initConnectyCube({ appId, authKey }, config)

function Chats() {
  const { setSession, connect, fetchDialogs, dialogs } = useConnectyCube()
  useEffect(() => {
    setSession(session)
    connect({ userId: session.user_id, password: session.token }).then(() => fetchDialogs())
  }, [])
  return (
    <ul>
      {dialogs.map(({ _id, name, last_message }) => (
        <li key={_id}>{`${name.trim()}: ${last_message}`}</li>
      ))}
    </ul>
  )
}

createRoot(document.getElementById('app')).render(<Chats />)
