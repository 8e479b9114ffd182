// Package chat is the sandbox's chat server: XMPP over WebSocket, as the official
// SDKs speak it. It owns connections, streams, who is online, block lists, and
// what waits for those who are away. It refuses to know accounts, dialogs and
// history, which are behind Accounts and Archive, and REST, which calls it.
//
// Of XMPP it leaves out what the SDKs do not use: federation, rosters and
// subscriptions, priorities, registration, room administration, message archives
// (history is read by REST), and any login but PLAIN. There is no raw socket
// (5223) and no BOSH (5281). Nothing here was compared with the real service;
// this is where each behaviour comes from:
//
//	behaviour                                                    evidence
//	subprotocol xmpp selected; without it 400                    recorded / assumed (the status)
//	any to in open is taken; open, features, PLAIN, open, bind   recorded
//	user <user>-<app>, authzid empty or the bare JID             recorded, documented
//	password or live session token, for everyone                 documented, official sample
//	failure, close and end of the connection                     recorded
//	after 10 failures of a user or 60 of an address:
//	  wrong secrets get temporary-auth-failure for a while,
//	  right ones always get in                                   our own (the contract asks for a throttle)
//	resource <seconds>-sandbox-<number>; a wanted one in front   documented (number–word–number), assumed
//	echo of the initial presence                                 recorded
//	1:1 to all resources; to one alone when it is addressed      documented, RFC 6121
//	groups without join, echo to the sender, from room/<user>    recorded
//	dialog_id, message_id, date_sent, markable                   seen live; in groups assumed
//	private dialog made by the first message                     documented
//	stored when save_to_history is 1                             documented
//	message ids: the client's when it is one and free            assumed (the SDK uses one id for both)
//	the same id again, of the same sender in the same dialog, is
//	  the message that is stored: no second one, and nobody gets
//	  it again but its sender, as the echo of a group            our own
//	messages for who is away wait, with delay                    documented; which ones assumed:
//	  1:1 always, of groups only what was said between bind and
//	  presence or was not acknowledged; the first device gets them
//	carbons of 1:1: content, edits, deletions, read marks        recorded (sent), assumed (which)
//	carbon, delay and reaction elements of clients are removed   our own
//	typing, system messages, receipts: not kept for who is away  assumed
//	edits and deletions passed on, applied when the author's     documented
//	errors: unknown user 503, dialog 404, not an occupant 403    shape recorded, conditions assumed
//	blocked 1:1: error 503 to the sender, nothing stored         assumed
//	blocked in groups: left out without a word                   documented (SDK's two items)
//	an item without kinds blocks both ways, error 406            XEP-0016, SDK's mutualBlock
//	presence of who blocks: no status_streaming, nothing in
//	  rooms, last activity is error 503; following is answered   XEP-0016; the subscription assumed
//	who is blocked while he sees one online is not told          assumed (XEP-0016 sends unavailable)
//	join and leave: presence, status 110; errors with text       recorded
//	removed occupants: status 301                                XEP-0045, SDK source
//	last activity: 0 online, else seconds since chat or REST     documented; never seen: since the start, assumed
//	status_streaming: iq set with 0 on coming, 1 on going        recorded (shape), assumed (the 1)
//	mobile v2 is taken and shown                                 recorded; no effect on delivery, assumed
//	roster empty, disco#info                                     assumed, for native SDKs
//	unknown requests: service-unavailable                        RFC 6120
//	acknowledgements                                             recorded
//	resumption for 5 minutes, failed with h afterwards           XEP-0198; whether the service has it: not known
//	an open stream survives the end of its session               assumed
//	ping after a minute of silence, the end 30 s later           assumed
//	limits: 64 KiB a frame, 200 frames a second (slowed down),
//	  20 streams a user, 10000 connections                       our own
//
// What it does on 2 cores, clients and server in one process over ws:// on the
// loopback, nothing stored, the rate limit lifted, on a machine that was busy
// with other work (load 5; the range is of repeated runs):
//
//	1:1, at most 100 under way     31,000–60,000 messages/s, p50 1.4–2.5 ms, p99 3.7–9.6 ms
//	1:1, 200 messages a second     p50 0.11–0.13 ms, p99 0.3–0.5 ms
//	room of 100, one at a time     15,000–45,000 deliveries/s, p50 1.0–1.9 ms, p99 7–31 ms
//	room of 100, 4 messages/s      p50 2.6–2.7 ms, p99 16–27 ms
//	1000 users online and silent   31 KiB each, heap and stacks, with their clients' ends
//
// by go test -run '^$' -bench . -benchtime 300x (1000x and 60000x for 1:1).
//
// Start reading at Server.ServeHTTP and socket.serve; what a client may send is
// in handshake (login.go), then in stanza (bound.go). stream.go has what outlives
// a connection, route.go who gets what.
package chat
