// Package middleware owns the rules for every request, whatever its operation: request
// ID, log line, client address, recovery from panics, headers of the answer, CORS, and
// the spelling of paths. It also contains [Budget], which bounds the attempts of any
// key, [Networks], which derives such keys from addresses, [ProxyDetector], and
// [Connections], which bounds the connections of a listener before there is a request.
//
// It knows neither the meaning of a request nor the format of errors: no GraphQL, no
// users. The server passes in the functions that answer.
//
// The order, outermost first: RequestID, ClientIP, RequestLog, SecurityHeaders,
// Recover, CORS, NormalizePath. RequestLog reads the results of RequestID and ClientIP.
// Recover is inside RequestLog, so that the log line has the status of the answer to a
// panic. All of them must be used inside a chi router (r.Use), which gives RequestLog
// the route's pattern and lets NormalizePath change the route.
package middleware
