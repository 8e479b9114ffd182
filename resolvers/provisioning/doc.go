// Package provisioning keeps each user's account at ConnectyCube in step with the
// user: it signs the account up, changes its email and name, sets its password, and
// deletes it with the user. It also opens, extends and ends the ConnectyCube sessions
// of login sessions. It knows no HTTP status, role or access token, and no other
// package but store knows leases.
//
// The user's document holds both what the account should be and what is known of it.
// A reconciliation removes the differences. It holds a lease in the document, so no
// two reconciliations work on one account. A request reconciles the account of its own user; the
// worker reconciles the accounts that a crash, an outage or a refusal left unfinished:
//
//	          ┌─────────────────── Save the new facts ◄───────────────────────────────┐
//	claim ──► next(known, wanted) ──► find · sign up · update · complete · rotate · delete
//	              │ none                                                              │ error
//	              ▼                                                                   ▼
//	          Complete        Retry after a back-off, or at the user's next login,
//	                          or Wait in line for the budget of sign-ups
//
// A step may run twice: if a reply was lost, the next reconciliation begins with
// find, which asks ConnectyCube. No step calls another one; each returns to next.
//
// Start reading at next.go and reconcile.go. Each step has a file: signup.go,
// update.go, complete.go, password.go and delete.go. accountsession.go opens a session of an
// account for a step, and relink.go gives the account back an external ID or email
// that its user has changed. cubesession.go opens a session for a login session.
// worker.go, revocation.go and migrate.go are the background work. signupbudget.go
// bounds the sign-ups; line.go is where the other accounts wait.
package provisioning
