// Package tokens owns the secrets by which users prove who they are: signed
// access tokens, the tickets that ConnectyCube shows us in its call-back, and
// password hashes.
//
// It knows nothing of HTTP, storage or ConnectyCube's API, and it never logs.
// Whoever calls it decides what a refusal looks like from outside.
//
// The signatures come from jwx v2, which is at its end of life (v2.1.7 is the
// release that says so; v3 and v4 live on). No type of it appears in an
// exported signature here, and access.go alone imports it, so moving on is a
// change of one file.
//
// Start reading at [Issuer] and [Verifier] for tokens, at [Hasher] for
// passwords, and at [Secret] for why a key never shows in a log.
package tokens
