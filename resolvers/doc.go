// Package resolvers is the meaning of a request: which operations exist, which role
// and which costs each has, and what its response contains, in GraphQL and in REST. It
// knows neither BSON nor HTTP to ConnectyCube nor leases; package identity does the
// work, and package transport reads and limits GraphQL requests.
//
// Start reading at operations.go: each operation has one row, and every operation
// passes through run. schema.graphql is the contract with the clients. users.go,
// sessions.go and admin.go hold the resolvers, each beside its REST twins. verify.go
// is the route that ConnectyCube calls back, and errors.go the only exit for an error.
package resolvers
