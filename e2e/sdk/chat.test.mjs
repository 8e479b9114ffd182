// Chat between two, in Node. browser/chat.test.mjs runs the same checks in Chromium.

import * as node from './devices.mjs'
import { connecting } from './checks/connecting.mjs'
import { messages } from './checks/messages.mjs'

node.withoutProvider()
connecting({ where: 'in Node', ...node })
messages({ where: 'in Node', ...node })
