// An app with the official chat widget. The session of window.kit is in the
// widget's own storage already, as if the user came back: see kits.test.mjs.

import ConnectyCubeChatWidget from '@connectycube/chat-widget'
import { createRoot } from 'react-dom/client'

const { appId, authKey, config } = window.kit

createRoot(document.getElementById('app')).render(
  <ConnectyCubeChatWidget appId={appId} authKey={authKey} config={config} enableUserLogin enableBlockList enableContentReporting enableUserStatuses enableLastSeen open splitView />,
)
