// An app with the official chat widget. The session of window.kit, if it has one, is in
// the widget's own storage already, as if the user came back; with a user of the app in
// its place, the widget signs that user up or in: see kits.test.mjs.

import ConnectyCubeChatWidget from '@connectycube/chat-widget'
import { createRoot } from 'react-dom/client'

const { appId, authKey, config, user } = window.kit

createRoot(document.getElementById('app')).render(
  <ConnectyCubeChatWidget appId={appId} authKey={authKey} config={config} {...user} enableUserLogin={!user} enableBlockList enableContentReporting enableUserStatuses enableLastSeen open splitView />,
)
