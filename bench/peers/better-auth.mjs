// A Better Auth server for the benchmark: email and password, SQLite on disk, its defaults
// otherwise. Arguments: port, folder of the data. See better-auth.json.

import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [port, folder] = process.argv.slice(2)
const require = createRequire(path.join(process.env.BETTER_AUTH, 'package.json'))
const load = (name) => import(pathToFileURL(require.resolve(name)))
const Database = require('better-sqlite3')
const { betterAuth } = await load('better-auth')
const { toNodeHandler } = await load('better-auth/node')
const { getMigrations } = await load('better-auth/db/migration').catch(() => load('better-auth/db'))

const database = new Database(path.join(folder, 'auth.db'))
database.pragma('journal_mode = WAL')
const options = {
  database,
  secret: 'a secret of the bench alone: 9wZr4mTnc8Jq2vKx',
  baseURL: `http://127.0.0.1:${port}`,
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: 'error' },
}
await (await getMigrations(options)).runMigrations()
createServer(toNodeHandler(betterAuth(options))).listen(Number(port), '127.0.0.1')
