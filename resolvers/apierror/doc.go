// Package apierror is the form of every error that a client gets: a code from a
// closed list, a message that is safe to show, and their representation in REST
// (problem+json, RFC 9457) and GraphQL (extensions). It imports no package of
// ours: a caller turns the errors of other packages into an [Error].
//
// Start reading at [Code].
package apierror
