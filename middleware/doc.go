// Package middleware owns what holds for every request, whatever it asks for:
// its ID, its log line, its sender's address, recovery from panics, the headers
// of the answer, who may call from a browser, and the spelling of paths. Beside
// these stand [Budget], which bounds what any key may spend, [Networks], which makes
// such keys of addresses, [ProxyDetector], and [Connections], which bounds the
// connections of a listener before there is a request.
//
// It refuses to know what a request means: no GraphQL, no users, no format of
// errors. Where an answer must be given, main hands in the function that gives
// it.
//
// The order that works, outermost first: RequestID, ClientIP, RequestLog, SecurityHeaders,
// Recover, CORS, NormalizePath. RequestID and ClientIP come before Log, which
// reads both; Recover comes after it, so that the line has the status of the
// answer to a panic. All of them are used inside a chi router (r.Use), which is
// what makes the route's pattern known to Log and the route changeable for
// NormalizePath.
package middleware
