// Chat in groups, in Node.

import * as node from './devices.mjs'
import { groups } from './checks/groups.mjs'

node.withoutProvider()
groups({ where: 'in Node', ...node })
