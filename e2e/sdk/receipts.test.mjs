// Receipts, edits, deletions and reactions, in Node.

import * as node from './devices.mjs'
import { receipts } from './checks/receipts.mjs'

node.withoutProvider()
receipts({ where: 'in Node', ...node })
