// Package sandbox is a ConnectyCube inside the process, for development and
// tests. It does not imitate: chat, dialogs, messages and the XMPP door; push,
// storage and the address book; social, Firebase and phone logins (refused by
// name); the administration API; request signatures (ignored); rate limits;
// e-mail (a password reset answers and sends nothing); the V1 user lists (refused as in
// an application that has them switched off). It keeps everything in memory and
// forgets it with the process.
//
// What it does imitate is sessions, login, users and the Custom Identity
// Provider, as far as they are known. No part was compared with the real service
// yet; this is where each behaviour comes from:
//
//	behaviour                                              evidence
//	paths with and without .json                           documented, recorded
//	paths without regard to case                           assumed
//	JSON bodies; lists as a,b and k[]=a and f[in][]=a      recorded
//	form bodies                                            documented (old)
//	DELETE parameters in the body / in the query           recorded / assumed
//	POST /session ignores CB-Token                         recorded, seen live
//	shape of the session object, 36 hex digits of token    documented, seen live
//	token lives 2 h after its last use                     documented
//	guest: 1 day, then the user is deleted                 documented
//	CB-Token-ExpirationDate on calls with a token          seen live
//	the same header on POST /session                       assumed
//	unknown user is created; Deny answers 404              documented, seen live
//	401 Invalid password                                   seen live
//	401 Token is required, Required session does not exist documented, seen live
//	403 Forbidden. Need user.                              seen live
//	unknown application 422, wrong key 401                 assumed (old wording)
//	POST /login 202, same token                            seen live
//	DELETE /login leaves an application session            recorded (request), assumed (effect)
//	DELETE /login of an application session is 403         assumed
//	sign-up by CB-AuthKey; a token, when sent, decides     documented, recorded
//	login/email must be unique                             official sample; the status 422 assumed
//	external_id must be unique                             assumed
//	login 3–70, 5 tags, V2 limit 100                       documented
//	password 6–40, full name 1–200                         official sample
//	which characters a login may have                      one refusal of + seen live, the rest assumed
//	texts of validation errors                             assumed
//	login exact, e-mail in lower case                      assumed
//	V2 grammar                                             documented
//	V2 refusals with 422, text matched exactly             assumed
//	own account only for PUT and DELETE /users/{id}        documented (DELETE), assumed (PUT)
//	a password change keeps the user's sessions            assumed
//	deleting a user ends its sessions                      assumed
//	CIdP: GET query, headers, templates, uid mapping       documented
//	CIdP: POST sends JSON                                  assumed
//	CIdP: #{password}, #{email}; an unknown one is empty   documented (old), assumed
//	CIdP: array steps as in #{users.0.id}                  assumed
//	CIdP: both error texts                                 seen live
//	CIdP: custom_<uid> as login, external_id a string      seen live
//	CIdP: passwords go to the call-back too                seen live
//	CIdP: 5 s, no redirects, no retry                      assumed
//	CIdP: no answer at all gives 500                       assumed (a failing provider gave 500 once)
//	CIdP: Deny does not stop it; profile set once          assumed
//	CIdP: a sign-up with the same external_id is found     assumed
//	400 Bad request for a body that cannot be read         documented (status)
//	password reset of an unknown e-mail is 404             assumed
//	known path, other method: 404                          assumed
//	nobody is online                                       our own: there is no chat
//	503 when full                                          our own
//	CORS for browsers                                      assumed, one header seen live
//
// User ids begin at the microseconds of the moment the sandbox was made, so a
// database that outlives it never meets the same id twice. They have 16 digits:
// exact in JavaScript and BSON, but more than 32 bits.
//
// Start reading at Sandbox.ServeHTTP. The files are named for the resources;
// registry.go holds what the others change.
package sandbox
