// Package sandbox is a ConnectyCube inside the process, for development and
// tests. It does not imitate: calls, meetings and custom objects; the sending of
// pushes and mails (what would be sent is in an outbox); the checking of Facebook,
// Twitter and Firebase tokens (whatever they say is believed); blocking users in
// public dialogs; request signatures (ignored); rate limits.
//
// It keeps everything in memory and forgets it with the process, or keeps users,
// sessions, dialogs, messages, push subscriptions, address books and the clock in
// Options.DataFile. Lost even then are uploaded files; in the chat, block lists
// (jabber:iq:privacy), messages that wait for who is offline, and connections
// that could be resumed; the journal, the outbox and faults; and what was changed
// of the settings, those of the Custom Identity Provider among them.
//
// Options.DataFile has no secret that can be used or guessed: of passwords
// argon2id of their salted SHA-256, of tokens SHA-256 (they have 144 random
// bits). Push tokens, the control token and the key that signs links are not in
// it. Profiles, messages and address books are, as plain text: the file is
// readable for its owner only, and so must its copies be. A save hashes 32 new
// passwords at full cost (19 MiB, 20 ms each, two at once in the process) and
// more of them at 1 MiB; the next saves replace those. Files of version 1, which
// had salted SHA-256, are read and rewritten at the start.
//
// It is bounded in bytes. By default 122 MiB of messages, 128 MiB of dialogs, 256
// MiB of users, 128 MiB of files and of what is uploaded or downloaded, 8 MiB of
// journal and 7 MiB of outbox; in the chat 64 MiB that wait for streams, and as
// much for users who are away. Requests with bodies above 4 KiB are decoded and
// acted upon eight at once. None of this memory is taken before it is needed.
//
// What it does imitate is sessions, login, users, the Custom Identity Provider,
// dialogs, messages, chat, push subscriptions and events, files, the address book
// and the administration API, as far as they are known. No part was compared with
// the real service yet; this is where each behaviour comes from:
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
//	V2 ignores plain parameters that it does not know      official sample (page=1)
//	dates in filters: a day without a time                 assumed
//	V2: a date equals, beside a field that stands alone    documented (example)
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
//	users V1: filters, orders, pages, 404 for nobody       documented, recorded (requests)
//	users V1: names and phones equal; 422 for bad filters  assumed
//	users V1: external_user_id filters the plain list      assumed
//	social logins: what is sent; the flat spelling         recorded
//	social logins: a token's text, or a JWT's subject, is  our own: never validated
//	the identity; a phone number or e-mail in it is one
//	social logins: Deny and CIdP do not stop them          assumed
//	shape of /users/online                                 official SDK's types
//	503 when full; for passwords or large bodies: when busy our own
//	403 for a Host that is not the sandbox's, over loopback our own
//	CORS for browsers                                      assumed, one header seen live
//	dialogs: shapes, statuses, unwrapped answers           documented, recorded (requests)
//	dialogs: who may do what, by kind and role             documented; sending in broadcasts assumed
//	dialogs: owners lose their rights by leaving           assumed
//	dialogs: extensions and permissions as for the name    assumed
//	dialogs: not of one's own 403, unknown 404             assumed, seen live (text)
//	dialogs: ids as list, text or digits                   documented, recorded
//	dialogs: unknown occupants are left out                assumed, by an error text seen live
//	dialogs: admins become occupants                       assumed
//	dialogs: an existing private one is returned           seen live
//	dialogs: extensions of any three keys                  assumed; Settings.DialogExtensions for documented keys
//	dialogs: extensions are replaced as a whole            assumed
//	dialogs: deleting a group or public one is leaving it  assumed
//	dialogs: a deleted private one returns with a message  assumed
//	dialogs: the last message is the last one can see      assumed
//	dialogs: order without sorting: last updated first     assumed
//	dialogs: date_sent sorts by the last message           documented (example), official hook and widget
//	dialogs: without a message sorted by their update      official React hook's own order
//	dialogs: id means _id                                  official Flutter sample and FAQ
//	dialogs: other unknown plain parameters are ignored    assumed, as /users/v2 does
//	dialogs: a private one has the other's name            seen live; that it is full_name, else login: assumed
//	dialogs: a private one is searched by that name        documented (sample)
//	dialogs: its name is null for administrators           documented (samples)
//	dialogs: deleted users stay occupants                  assumed
//	dialogs: is_muted                                      documented (administration), assumed (lists)
//	lists: operators, both spellings, limit 100            documented, recorded
//	lists: limit at most 1000; other sorts; 422 if unknown assumed
//	lists: count=1 gives items.count                       Dart SDK
//	messages: shapes, custom keys beside the rest          documented
//	messages: attachments as list or numbered object       documented, recorded
//	messages: values of attachments become text            assumed: the Dart SDK reads nothing else
//	messages: an id of the chat is kept                    assumed
//	messages: of the chat, without save_to_history not     documented
//	kept; what is no parameter of the service is custom
//	messages: to oneself are refused                       assumed
//	messages: list marks as read what it returns           documented
//	messages: read means delivered, both move updated_at   documented (read), assumed
//	messages: read is 1 when the recipient read it         assumed
//	messages: what was said before joining is unread       assumed
//	messages: views_count counts readers                   assumed
//	messages: unknown filters look at custom parameters    assumed
//	messages: preview of the last 20                       documented
//	unread: total is of the dialogs that are named         documented (sample)
//	messages: changing the text of one's own only          assumed; the connected are not told
//	messages: deletion for oneself, for all, its report    documented
//	reactions: lists, shape in messages, notice            documented
//	search: its limits                                     documented; 422, order, users empty assumed
//	administration: paths, filters, shapes, statistics     documented
//	administration: of users, deletion alone is known      documented
//	administration: no key 401, wrong key 403              assumed
//	administration: downward by _id unless sorted          documented (example)
//	administration: what was deleted for all is not there  assumed
//	all texts of 403 and 422 here but the opponent's       assumed
//	push: shapes, words, who needs which token             documented, recorded (requests)
//	push: a device, channel and environment is one         assumed
//	subscription; subscriptions end with their user
//	push: one event for all channels, its channel null     assumed
//	push: several kinds of recipients add up; nobody: 201  assumed
//	push: base64 alone with a push_type, too               assumed, by SDK types
//	push: a message for who is not there is one            documented; its text assumed
//	files: shapes, upload by form, XML answer, 301         documented, recorded (requests)
//	files: links last an hour and a week                   documented (samples)
//	files: public ones need no session                     documented
//	files: private ones need a session, anybody's          official samples
//	files: /blobs/{uid} is content, with .json information official SDK's links, assumed
//	files: only one's own by id, others' are 403           assumed
//	files: complete is believed; a file outlives its user  assumed
//	files: downloads only, of harmless types               our own
//	files: 503 SlowDown past 128 MiB kept or under way     our own; the word documented (S3)
//	address book: actions, report, reasons, compact        documented
//	address book: reasons by place from 0; phones by digit assumed
//	address book: without udid all devices' books          documented; how they join assumed
//	bounds of names, occupants and reactions               our own
//
// User ids begin at a number that grows by four a second, so a database that
// outlives the sandbox does not meet the same id twice unless users were made
// faster than that all the time. They have 31 bits, as SDKs for phones want it.
//
// # Made for testing
//
// What a test wants to do to a service is there as methods of Sandbox, and over
// HTTP under /_sandbox/, for callers on this machine and holders of the control
// token. Bodies are JSON, strictly read; a mistake is a 400 that says all of it.
//
//	GET    state     who is there and what was said; ?limit=N bounds each list   State
//	POST   reset     as in the beginning, but for ids and settings               Reset
//	POST   seed      users, dialogs and messages, all or nothing                 Seed
//	GET    clock     the time in the sandbox, and how far it is ahead            Now, Ahead
//	POST   clock     {"advance":"2h"}: sessions end without waiting              Advance
//	GET    faults    what is armed                                               Faults
//	POST   faults    arms one more, on rest or chat: see Fault                   AddFault
//	PUT    faults    {"faults":[…]} instead of all others                        SetFaults
//	DELETE faults    disarms all                                                 ClearFaults
//	POST   drop      {"user":N} cuts chat sockets at once, of all without user   Drop
//	POST   half-open {"user":N} makes them fall silent                           HalfOpen
//	GET    journal   the last requests and stanzas, masked; ?after=ID            Journal
//	DELETE journal   forgets them                                                ClearJournal
//	GET    cidp      settings of the Custom Identity Provider; header values that
//	                 Options gave are masked, and stay when written so
//	PUT    cidp      other settings                                              SetCIdP
//	GET    settings  {"deny_auto_create":false,"v1_users":false,
//	                 "dialog_extensions":null}, as the Options of these names    Settings
//	PUT    settings  others, all at once; a reset leaves them alone              SetSettings
//	GET    outbox    mails and pushes that would have been sent                   Outbox
//	DELETE outbox    forgets them                                                EmptyOutbox
//	GET    ca.pem    the certificate to trust; for everyone
//
// Over loopback the whole port answers 403 to a Host that is not localhost, a
// name below it, an IP address, host.docker.internal, host.containers.internal or
// one of Options.Names: a web page whose name was pointed at 127.0.0.1 would be of
// one origin with the sandbox, its administration API included. The control token
// passes, and so does Client. No answer lets browsers guess its type.
//
// The page for people, at /, shows the same. A seed and a fault:
//
//	{"users":[{"login":"ann","password":"11111111"},{"external_id":"42"}],
//	 "dialogs":[{"key":"team","name":"Team","owner":"ann","occupants":["42"]}],
//	 "messages":[{"dialog":"team","from":"ann","message":"hello","ago":"2h","read_by":["42"]}]}
//
//	{"on":"chat","kind":"drop","stanza":"message","user":7,"times":1,"probability":0.5,"seed":3}
//
// The clock is the sandbox's alone: how long anybody waits, and what the chat
// keeps time of by itself (pings, resumption, last activity of who was online),
// goes by real time.
//
// The state and its lock are in package core, REST in rest, the page and
// /_sandbox/ in control, the chat in chat, and certificates in certs. This package
// puts them together: notify.go brings what REST does to the chat, history.go what
// the chat does to the state. names.go gives the types of core a name here.
//
// Start reading at New, then at Sandbox.serve.
package sandbox
