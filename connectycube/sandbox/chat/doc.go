// Package chat is the sandbox's chat server: XMPP over WebSocket, for the official
// SDKs. It owns connections, streams, the users online, block lists, and the messages
// that wait for absent users. It does not know accounts, dialogs and history, which
// are behind Accounts and Archive, or REST, which calls it.
//
// It leaves out the parts of XMPP that the SDKs do not use: federation, rosters and
// subscriptions, priorities, registration, room administration, message archives
// (clients read the history by REST), and logins other than PLAIN. There is no raw
// socket (5223) and no BOSH (5281). It was not compared with the real service. The
// table gives the source of each behavior; docs/connectycube.md explains the sources:
//
//	behavior                                                     evidence
//	subprotocol xmpp selected; without it 400                    recorded / assumed (the status)
//	open accepts any to; open, features, PLAIN, open, bind       recorded
//	user <user>-<app>, authzid empty or the bare JID             recorded, documented
//	password or live session token, for all users                documented, official sample
//	failure, close and end of the connection                     recorded
//	after 10 failures of a user or 60 of a client IP:
//	  wrong secrets get temporary-auth-failure for a while,
//	  right ones always succeed                                  our own: the SDK repeats a wrong password
//	resource <seconds>-sandbox-<number>, after the client's wish documented (number–word–number), assumed
//	echo of the initial presence                                 recorded
//	1:1 to all resources, or to the resource that is addressed   documented, RFC 6121
//	groups without join, echo to the sender, from room/<user>    recorded
//	dialog_id, message_id, date_sent, markable                   seen live; in groups assumed
//	private dialog made by the first message                     documented
//	stored when save_to_history is 1                             documented
//	message IDs: the client's if valid and free                  assumed (the SDK uses one ID for both)
//	an ID of another form stays the stanza's, in the echo and
//	  for others; the stored message has message_id, and
//	  receipts, edits and deletions may name either              assumed (the form of the SDK's IDs: recorded)
//	a message to an occupant's JID in a room: error 403          assumed: XEP-0045, 7.5, lets a room refuse it
//	requests for receipts of XEP-0184 are removed, as are these
//	  receipts: nothing would answer                             our own
//	a repeated valid ID of the same sender in the same dialog is
//	  the stored message: no second one, and only the sender
//	  gets it again, as the echo of a group                      our own
//	messages for absent users wait, with delay                   documented; which ones assumed:
//	  1:1 always; of groups only those between bind and
//	  presence or not acknowledged; the first device gets them
//	carbons of 1:1: content, edits, deletions, read marks        recorded (sent), assumed (which)
//	carbon, delay and reaction elements of clients are removed   our own
//	typing, system messages, receipts: not kept                  assumed
//	edits and deletions passed on, applied if by the author      documented
//	errors: unknown user 503, dialog 404, not an occupant 403    shape recorded, conditions assumed
//	blocked 1:1: error 503 to the sender, nothing stored         assumed
//	blocked in groups: left out silently                         documented (SDK's two items)
//	an item without kinds blocks both ways, error 406            XEP-0016, SDK's mutualBlock
//	presence of a user who blocks: no status_streaming, nothing
//	  in rooms, last activity is error 503; following succeeds   XEP-0016; the subscription assumed
//	blocking an online user sends that user nothing              assumed (XEP-0016 sends unavailable)
//	join and leave: presence, status 110; errors with text       recorded
//	removed occupants: status 301                                XEP-0045, SDK source
//	last activity: 0 online, else seconds since chat or REST     documented; never seen: since the start, assumed
//	status_streaming: iq set with 0 on coming, 1 on going        recorded (shape), assumed (the 1)
//	mobile v2 is accepted and shown                              recorded; no effect on delivery, assumed
//	roster empty, disco#info                                     assumed, for native SDKs
//	unknown requests: service-unavailable; requests without
//	  one of the four types: bad-request                         RFC 6120
//	a join of what is no room: error 404                         XEP-0045, the condition assumed
//	acknowledgements                                             recorded
//	resumption for 5 minutes, afterward failed with h            XEP-0198; whether the service has it: not known
//	an open stream survives the end of its session               assumed
//	ping after a minute of silence, the end 30 s later           assumed
//	limits: 64 KiB a frame, 200 frames a second (slowed down),
//	  20 streams a user, 10000 connections                       our own
//
// Measured on 2 cores, clients and server in one process over ws:// on the
// loopback, nothing stored, the rate limit lifted, on a machine with other load
// (load 5; the range is of repeated runs):
//
//	1:1, at most 100 under way     31,000–60,000 messages/s, p50 1.4–2.5 ms, p99 3.7–9.6 ms
//	1:1, 200 messages a second     p50 0.11–0.13 ms, p99 0.3–0.5 ms
//	room of 100, one at a time     15,000–45,000 deliveries/s, p50 1.0–1.9 ms, p99 7–31 ms
//	room of 100, 4 messages/s      p50 2.6–2.7 ms, p99 16–27 ms
//	1000 users online and silent   31 KiB each, heap and stacks, including their clients' ends
//
// with go test -run '^$' -bench . -benchtime 300x (1000x and 60000x for 1:1).
//
// Start reading at Server.ServeHTTP and socket.serve, then at handshake (login.go)
// and stanza (bound.go), which handle the client's stanzas. stream.go has the state
// that outlives a connection, route.go the choice of recipients.
package chat
