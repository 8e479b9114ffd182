// Package tokens owns the credentials of users: signed access tokens, the tickets that
// ConnectyCube presents to the verify route, refresh tokens, device tokens, and
// password hashes. It also owns the keys behind them.
//
// It knows nothing of HTTP, storage or ConnectyCube's API, and it never logs. Its
// callers decide how a refusal looks to a client.
//
// jwx v2 makes the signatures. That version is at its end of life; v3 and v4 are
// maintained. No exported signature here contains a type of jwx, so an upgrade changes
// this package alone.
//
// Start reading at [Issuer] and [Verifier] for tokens, at [Hasher] for passwords, and
// at [Secret] for the way in which keys stay out of logs.
package tokens
