// Package transport carries GraphQL over HTTP: it bounds what a document and
// its answer cost before that cost is paid, answers introspection, and writes
// answers. It knows no users and no sentinels of other packages; a caller turns
// its findings into errors for clients.
//
// Start reading at [Merge]: it brings a validated operation into the plain
// form that everything else here works on.
package transport
