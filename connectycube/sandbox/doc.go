// Package sandbox is a ConnectyCube inside the process, for development and
// tests. It does not imitate conferences, the searches near, calc and group_by of custom
// data, blocking users in public dialogs, request signatures (which it ignores) and rate
// limits. It sends
// no pushes and mails, and puts them into an outbox instead. It believes any token
// of Facebook, Twitter and Firebase.
//
// Peer-to-peer calls work: their signals are messages of the chat, and the media flow
// between the clients. e2e/browser/calls.test.mjs makes calls between two Chromiums.
//
// It keeps everything in memory until the process ends, or keeps users, sessions,
// dialogs, messages, push subscriptions, address books, custom data, meetings,
// whiteboards, block lists (jabber:iq:privacy) and the clock in Options.DataFile. The
// file does not contain uploaded files; of the chat, messages that wait for absent users,
// and connections that could be resumed; the journal, the outbox and faults; and changes of the
// settings, including those of the Custom Identity Provider.
//
// Options.DataFile contains no secret that can be used or guessed: argon2id of the
// salted SHA-256 of passwords, and SHA-256 of tokens (which have 144 random bits).
// Push tokens, the control token and the key that signs links are not in it.
// Profiles, messages, address books and custom data are, as plain text: the file is readable
// for its owner only, and its copies must be so, too. A save hashes 32 new
// passwords at full cost (19 MiB, 20 ms each, two at once in the process) and
// more of them at 1 MiB; the next saves replace those. Files of version 1, which
// had salted SHA-256, are read and rewritten at the start.
//
// It is bounded in bytes. The defaults are 122 MiB of messages, 128 MiB of dialogs,
// 256 MiB of users, 64 MiB of custom data, 16 MiB of meetings, 128 MiB of files with running uploads and downloads, 8 MiB of
// journal and 7 MiB of outbox; in the chat 64 MiB that wait for streams, and as
// much for absent users. It handles eight requests with bodies above 4 KiB at a
// time. It takes none of this memory before it needs it.
//
// It imitates the known behavior of sessions, login, users, the Custom Identity
// Provider, dialogs, messages, chat, push subscriptions and events, files, the
// address book and the administration API. No part was compared with the real
// service. The table gives the source of each behavior; docs/connectycube.md
// explains the sources:
//
//	behavior                                               evidence
//	paths with and without .json                           documented, recorded
//	paths in any letter case                               assumed
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
//	a login with + is taken                                seen live
//	a login with spaces or control characters is 422       assumed
//	an email is what <input type=email> takes, or more     assumed
//	texts of validation errors                             assumed
//	login exact, email in lower case                       assumed
//	V2 grammar                                             documented
//	V2 ignores unknown plain parameters                    official sample (page=1)
//	dates in filters: a day without a time                 assumed
//	V2: a date equals, with a field that stands alone      documented (example)
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
//	CIdP: passwords go to the callback, too                seen live
//	CIdP: 5 s, no redirects, no retry                      assumed
//	CIdP: no answer at all gives 500                       assumed (a failing provider gave 500 once)
//	CIdP: the answers of 2020, as a setting                seen live (texts, statuses); by route: assumed
//	CIdP: form bodies and no way into this machine, as     our own: they reproduce mistakes in the
//	settings                                               set-up (docs/connectycube.md)
//	CIdP: Deny does not stop it; profile set once          assumed
//	CIdP: a sign-up with the same external_id is found     assumed
//	400 Bad request for an unreadable body                 documented (status)
//	password reset of an unknown email is 404              assumed
//	known path, other method: 404                          assumed
//	users V1: filters, orders, pages, 404 for no user      documented, recorded (requests)
//	users V1: names and phones equal; 422 for bad filters  assumed
//	users V1: external_user_id filters the plain list      assumed
//	social logins: form of requests; the flat spelling     recorded
//	social logins: a token's text, or a JWT's subject, is  our own: never validated
//	the identity, or the phone number or email
//	social logins: Deny and CIdP do not stop them          assumed
//	shape of /users/online                                 official SDK's types
//	503 when full; for passwords or large bodies: when busy our own
//	a disabled user: no sessions, logins get 401           our own
//	403 for a Host that is not the sandbox's, over loopback our own
//	CORS for browsers                                      assumed, one header seen live
//	dialogs: shapes, statuses, unwrapped answers           documented, recorded (requests)
//	dialogs: rights by kind and role                       documented; sending in broadcasts assumed
//	dialogs: owners lose their rights by leaving           assumed
//	dialogs: extensions and permissions like the name      assumed
//	dialogs: of other users 403, unknown 404               assumed, seen live (text)
//	dialogs: ids as list, text or digits                   documented, recorded
//	dialogs: unknown occupants are left out                assumed, by an error text seen live
//	dialogs: admins become occupants                       assumed
//	dialogs: an existing private one is returned           seen live
//	dialogs: extensions of any three keys                  assumed; Settings.DialogExtensions for documented keys
//	dialogs: extensions are replaced as a whole            assumed
//	dialogs: deleting a group or public one leaves it      assumed
//	dialogs: a deleted private one returns with a message  assumed
//	dialogs: the last message is the last visible one      assumed
//	dialogs: order without sorting: last updated first     assumed
//	dialogs: date_sent sorts by the last message           documented (example), official hook and widget
//	dialogs: without a message sorted by their update      order of the official React hook
//	dialogs: id means _id                                  official Flutter sample and FAQ
//	dialogs: other unknown plain parameters are ignored    assumed, as /users/v2 does
//	dialogs: a private one has the other user's name       seen live; that it is full_name, else login: assumed
//	dialogs: a private one is searched by that name        documented (sample)
//	dialogs: its name is null for administrators           documented (samples)
//	dialogs: deleted users stay occupants                  assumed
//	dialogs: is_muted                                      documented (administration), assumed (lists)
//	lists: operators, both spellings, limit 100            documented, recorded
//	lists: numbers with a fraction, also of pages          seen live (12.0), assumed (12.5)
//	lists: limit at most 1000; other sorts; 422 if unknown assumed
//	lists: count=1 gives items.count                       Dart SDK
//	messages: shapes, custom keys as fields                documented
//	messages: attachments as list or numbered object       documented, recorded
//	messages: values of attachments become text            assumed: the Dart SDK reads nothing else
//	messages: an id of the chat is kept if it has the form assumed
//	of our own IDs; another one stays the stanza's
//	messages: of the chat without save_to_history are not  documented
//	kept; other parameters than the service's are custom
//	messages: to oneself are refused                       assumed
//	messages: a list marks its messages as read            documented
//	messages: that list still shows them as they were      official sample (Angular: it sends
//	                                                       a read marker for each unread one)
//	messages: read means delivered, both move updated_at   documented (read), assumed
//	messages: read is 1 if the recipient has read it       assumed
//	messages: those before joining are unread              assumed
//	messages: views_count counts readers                   assumed
//	messages: unknown filters search custom parameters     assumed
//	messages: preview of the last 20                       documented
//	unread: total counts the named dialogs                 documented (sample)
//	messages: users change their own texts only            assumed; connected clients are not notified
//	messages: deletion for the caller, for all, its report documented
//	reactions: lists, shape in messages, notice            documented
//	search: its limits                                     documented; 422, order, users empty assumed
//	administration: paths, filters, shapes, statistics     documented
//	administration: of users, only deletion is known       documented
//	administration: no key 401, wrong key 403              assumed
//	administration: downward by _id unless sorted          documented (example)
//	administration: messages deleted for all are gone      assumed
//	all texts of 403 and 422 here except the opponent's    assumed
//	push: shapes, words, required tokens                   documented, recorded (requests)
//	push: notification_channels; a list makes several      documented (JavaScript SDK); the list assumed
//	push: an event without environment is for both         official sample, assumed
//	push: a device, channel and environment is one         assumed
//	subscription; subscriptions end with their user
//	push: one event for all channels, its channel null     assumed
//	push: kinds of recipients add up; none: 201            assumed
//	push: base64 alone with a push_type, too               assumed, from the SDK's types
//	push: one for a message to an absent user              documented; its text assumed
//	POST /calls/reject: its fields, 200 {}                 documented; refusals assumed
//	meetings: shapes, filters, host, public ones by _id    documented
//	meetings: their dialog is a group; attendees by email; assumed
//	no meeting, or one that the user may not see, is []
//	meetings: no mails, no recordings                      our own
//	joining a conference: an error of Janus's API          our own: there is no media server
//	whiteboards: shapes, 3 in a group or private dialog    documented
//	whiteboards: created with 201, as are meetings         assumed
//	custom data: shapes, operators, levels, children       documented
//	custom data: lists without permissions                 documented (sample)
//	custom data: a class begins with its first record, a   our own: the service has them in its
//	field with its first value                             dashboard, with types
//	custom data: values keep their JSON type; a text is    assumed
//	a number in a field whose first value was one
//	custom data: id, _id, user_id and the times ignored    official sample (user_id), assumed
//	custom data: objects as values are 422                 documented (types), assumed
//	custom data: owners may do all; permissions are        assumed
//	changed by the owner
//	custom data: changes by criteria skip records that     assumed
//	the user may not change; WrongPermissions in multi
//	custom data: a change is made whole or not at all      our own
//	custom data: records outlive their users               assumed
//	custom data: near, calc and group_by are 422           our own
//	files: shapes, upload by form, XML answer, 301         documented, recorded (requests)
//	files: links last an hour and a week                   documented (samples)
//	files: public ones need no session                     documented
//	files: private ones need a session of any user         official samples
//	files: /blobs/{uid} is content, with .json information official SDK's links, assumed
//	files: the user's own by ID, others' are 403           assumed
//	files: complete is not checked; files outlive users    assumed
//	files: downloads only, of harmless types               our own
//	files: 503 SlowDown past 128 MiB kept or in transfer   our own; the word documented (S3)
//	address book: actions, report, reasons, compact        documented
//	address book: reasons by index; phones by digit        assumed
//	address book: without udid all devices' books          documented; how they join assumed
//	bounds of names, occupants and reactions               our own
//
// User IDs begin at a number that grows by four a second. So a database that outlives
// the sandbox does not see an ID twice, unless users were always created faster than
// that. The IDs have 31 bits, as SDKs for phones require.
//
// # For tests
//
// The methods of Sandbox let a test control the service. The same is available over
// HTTP under /_sandbox/, for clients on this machine and clients with the control
// token. Bodies are JSON, parsed strictly; an invalid one gets a 400 that lists all
// errors.
//
//	GET    state     users, sessions, dialogs, messages; ?limit=N bounds lists   State
//	POST   reset     the start state, except for IDs and settings                Reset
//	POST   seed      users, dialogs and messages, all or nothing                 Seed
//	GET    clock     the time in the sandbox, and how far it is ahead            Now, Ahead
//	POST   clock     {"advance":"2h"}: sessions expire without a wait            Advance
//	DELETE clock     back to real time; dates in the time ahead become now       Return
//	GET    overview  application, addresses with their SDK snippets, identity
//	                 provider with its last outcome, settings, totals
//	GET    users     a page: ?search=, skip, limit                               Users
//	GET    users/N   with sessions, connections and devices; DELETE deletes      UserDetails, RemoveUser
//	PUT    users/N/disabled   {"disabled":true}: logins get 401, sessions end    SetDisabled
//	POST   users/N/session    {}: a session without a password                   SignInAs
//	GET    dialogs   a page, as users                                            Dialogs
//	GET    dialogs/ID/messages   ?before=ID, limit                               Conversation
//	POST   dialogs/ID/messages   {"from":N,"message":"…"}: in N's name           Utter
//	PUT    dialogs/ID/typing     {"user":N,"typing":true}                        Type
//	GET    faults    the armed faults and the last spent ones, with how often
//	                 each acted; DELETE faults/N removes one                     ArmedFaults, RemoveFault
//	GET    fault-kinds   the kinds and their parameters                          FaultKinds
//	POST   faults    arms another one, on rest or chat: see Fault                AddFault
//	PUT    faults    {"faults":[…]} replaces all                                 SetFaults
//	DELETE faults    disarms all                                                 ClearFaults
//	POST   drop      {"user":N} cuts chat sockets, all of them without user      Drop
//	POST   half-open {"user":N} makes them silent                                HalfOpen
//	GET    journal   the last requests and stanzas, masked; ?after=ID            Journal
//	GET    traffic   a page of them: ?before=ID, limit, on, user, method,
//	                 status (404, 4xx, none), path, fault=1; traffic/ID has
//	                 the bodies and a curl command                               Traffic, TrafficEntry
//	DELETE journal   empties it                                                  ClearJournal
//	GET    cidp      settings of the Custom Identity Provider; header values
//	                 from Options are masked, and a mask keeps the value. The
//	                 settings body, answers and outside reproduce mistakes
//	                 in the set-up: see CIdP
//	PUT    cidp      replaces them                                               SetCIdP
//	GET    settings  {"deny_auto_create":false,"v1_users":false,
//	                 "dialog_extensions":null}, as the Options of these names    Settings
//	PUT    settings  replaces them all; a reset keeps them                       SetSettings
//	GET    outbox    mails and pushes that were not sent; ?skip=, limit          Outbox
//	DELETE outbox    empties it                                                  EmptyOutbox
//	GET    ca.pem    the certificate to trust; public
//
// Over loopback the whole port answers 403 to a Host that is not localhost, a
// name below it, an IP address, host.docker.internal, host.containers.internal or
// one of Options.Names. A web page whose name points at 127.0.0.1 would otherwise
// have the sandbox's origin and its administration API. The control token and Client
// pass. No answer lets browsers guess its type.
//
// The page at / shows the same data; docs/dashboard.md describes it. A seed and a fault:
//
//	{"users":[{"login":"ann","password":"11111111"},{"external_id":"42"}],
//	 "dialogs":[{"key":"team","name":"Team","owner":"ann","occupants":["42"]}],
//	 "messages":[{"dialog":"team","from":"ann","message":"hello","ago":"2h","read_by":["42"]}]}
//
//	{"on":"chat","kind":"drop","stanza":"message","user":7,"times":1,"probability":0.5,"seed":3}
//
// Only the sandbox's content uses its clock. Waits, and the chat's own times (pings,
// resumption, last activity of online users), use real time.
//
// The state and its lock are in package core, REST in rest, the page and
// /_sandbox/ in control, the chat in chat, and certificates in certs. This package
// connects them: notify.go passes changes by REST to the chat, history.go gives the
// chat access to the state. names.go has aliases for core's types.
//
// Start reading at New, then at Sandbox.serve.
package sandbox
