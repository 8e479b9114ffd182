// The dashboard in the dark color scheme.

import { looksRight } from './dashboard_look.mjs'

looksRight('dark')
