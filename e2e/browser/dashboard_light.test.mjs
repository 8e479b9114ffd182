// The dashboard in the light color scheme.

import { looksRight } from './dashboard_look.mjs'

looksRight('light')
