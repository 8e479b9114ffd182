// Package identity finds the caller of a request and decides what the caller may do. It
// owns credentials, login sessions, roles and the audit: it checks passwords and tokens,
// starts, continues and ends login sessions, and changes users. It knows neither HTTP nor
// ConnectyCube; package provisioning keeps each user's account there.
//
// Each struct has a file of its own. [Authenticator] finds the [Caller] of a request
// and answers ConnectyCube's callback. [Logins] registers users and logs them in,
// [Sessions] continues and ends login sessions, [Profiles] serves users who change
// themselves, [Admin] serves administrators, and [Auditor] records events. Below
// them, [Passwords] compares passwords and [Budgets] limits guesses.
//
// Start reading at [Logins.Login].
package identity
