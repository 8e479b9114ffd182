// jose checks our tokens with the public keys at /.well-known/jwks.json, like another
// server of the app.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose'
import { newUser } from '../cubegate.mjs'
import { banner, finished, found, start, stop } from '../process.mjs'
import { patience } from '../waiting.mjs'

for (const alg of ['EdDSA', 'ES256']) {
  test(`${alg}`, async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'cubegate-jose-'))
    const env = { JWT_KEYS: path.join(folder, 'keys') }
    let server
    try {
      await finished(spawn(process.env.CUBEGATE_BINARY, ['keys', 'new', '--alg', alg, '--in', '0s'], { cwd: folder, env: { ...process.env, ...env }, stdio: 'ignore' }))
      server = start(process.env.CUBEGATE_BINARY, [], folder, env)
      const url = found(await banner(server), /(http:\S+)\/api/)
      const response = await fetch(`${url}/auth/register`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(newUser()) })
      const { token, user, sessionId } = await response.json()
      const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`), { timeoutDuration: patience })
      // the type and the claims that RFC 9068 sections 2.1 and 2.2 require
      const claims = { algorithms: [alg], issuer: 'cubegate', audience: 'cubegate', typ: 'at+jwt', requiredClaims: ['client_id', 'exp', 'iat', 'jti', 'sub'] }
      const { payload } = await jwtVerify(token, keys, claims)
      assert.equal(payload.sub, user.id)
      assert.ok(sessionId)
      assert.ok(payload.exp * 1000 > Date.now())

      const forged = await new SignJWT(payload).setProtectedHeader({ ...decodeProtectedHeader(token), alg: 'HS256' }).sign(new TextEncoder().encode(JSON.stringify(await (await fetch(`${url}/.well-known/jwks.json`)).json())))
      await assert.rejects(jwtVerify(forged, keys, claims), errors.JOSEError)
      await assert.rejects(jwtVerify(`${token.slice(0, -4)}AAAA`, keys, claims), errors.JWSSignatureVerificationFailed)
      const refused = await fetch(`${url}/auth/me`, { headers: { Authorization: `Bearer ${forged}` } })
      assert.equal(refused.status, 401)
    } finally {
      if (server) await stop(server)
      await rm(folder, { recursive: true, force: true })
    }
  })
}
