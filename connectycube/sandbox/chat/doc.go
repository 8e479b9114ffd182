// Package chat is the sandbox's chat server: XMPP over WebSocket.
package chat
