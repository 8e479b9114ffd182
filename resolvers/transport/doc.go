// Package transport carries GraphQL over HTTP: it reads requests, bounds what a
// document and its answer cost before that cost is paid, executes documents,
// answers introspection, and writes answers. It also reads the bodies of the REST
// routes, with the same bounds.
//
// It knows no users: a bearer token is an opaque string, which [Bearer] reads and
// resolvers verify. It knows no errors of other packages except apierror's: a
// caller passes a function that turns any error into one that is safe to show.
//
// Start reading at [Handler.ServeHTTP]. guard.go decides whether a document is
// executed; merge.go brings an operation into the plain form that the later steps
// work on.
package transport
