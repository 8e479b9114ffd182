package rest

import (
	"context"
	"net/url"
	"strings"
	"time"

	"cubegate/connectycube/sandbox/core"
)

// request is the part of a request that a handler uses.
type request struct {
	ctx      context.Context
	args     []string    // the values of {} in the path
	arg      string      // the last of them
	form     bool        // the body is a form
	params   core.Params // body; for GET and DELETE also the query
	token    string
	key      string
	now      time.Time
	origin   string // the sandbox's origin in the request, such as http://localhost:8080
	suffixed bool   // the path ended in .json

	adminKey string
}

type handler func(*API, *request) (reply, error)

// routes is the whole API. The first match counts, so words stand before {}.
var routes = []struct {
	method string
	path   string // lower case; {} is one segment of any content
	handle handler
}{
	{"POST", "/session", (*API).createSession},
	{"GET", "/session", withSession(getSession)},
	{"DELETE", "/session", withSession(deleteSession)},
	{"POST", "/login", (*API).login},
	{"DELETE", "/login", withUser(logout)},

	{"POST", "/users", (*API).signUp},
	{"GET", "/users", v1(listUsersV1)},
	{"PUT", "/users", withUser(noResource)}, // the SDK sends it when it has no user: withUser refuses it
	{"GET", "/users/v2", withSession(listUsers)},
	{"GET", "/users/by_login", v1User(findByLogin)},
	{"GET", "/users/by_email", v1User(findByEmail)},
	{"GET", "/users/by_facebook_id", v1User(findByFacebook)},
	{"GET", "/users/by_twitter_id", v1User(findByTwitter)},
	{"GET", "/users/by_full_name", v1(listByName)},
	{"GET", "/users/by_tags", v1(listByTags)},
	{"GET", "/users/phone", v1(listByPhone)},
	{"GET", "/users/online", withSession(onlineUsers)},
	{"POST", "/users/password/reset", withSession(resetPassword)},
	{"GET", "/users/password/reset", withSession(resetPassword)},
	{"GET", "/users/external/{}", v1User(findByExternal)},
	{"DELETE", "/users/external/{}", withUser(deleteByExternalID)},
	{"GET", "/users/{}", withSession(getUser)},
	{"PUT", "/users/{}", putUser},
	{"DELETE", "/users/{}", withUser(deleteUser)},

	{"POST", "/subscriptions", withUser(createSubscription)},
	{"GET", "/subscriptions", withUser(listSubscriptions)},
	{"DELETE", "/subscriptions/{}", withUser(deleteSubscription)},
	{"POST", "/events", withUser(createEvent)},

	{"POST", "/calls/reject", withUser(rejectCall)},
	{"POST", ConferencePath, joinConference},

	{"GET", "/meetings", withUser(listMeetings)},
	{"POST", "/meetings", withUser(createMeeting)},
	{"GET", "/meetings/recordings/{}", withUser(listRecordings)},
	{"PUT", "/meetings/{}", withUser(updateMeeting)},
	{"DELETE", "/meetings/{}", withUser(deleteMeeting)},

	{"GET", "/whiteboards", withUser(listWhiteboards)},
	{"POST", "/whiteboards", withUser(createWhiteboard)},
	{"PUT", "/whiteboards/{}", withUser(updateWhiteboard)},
	{"DELETE", "/whiteboards/{}", withUser(deleteWhiteboard)},

	{"POST", "/blobs", withUser(createBlob)},
	{"GET", "/blobs", withUser(listBlobs)},
	{"GET", "/blobs/{}", getBlob},
	{"PUT", "/blobs/{}", withUser(updateBlob)},
	{"DELETE", "/blobs/{}", withUser(deleteBlob)},
	{"PUT", "/blobs/{}/complete", withUser(completeBlob)},
	{"POST", "/blobs/{}/complete", withUser(completeBlob)}, // the Dart SDK's form
	{"GET", "/blobs/{}/download", downloadBlob},
	{"GET", "/blobs/{}/object", withSession(blobObject)},

	{"POST", "/address_book", withUser(uploadAddressBook)},
	{"GET", "/address_book", withUser(getAddressBook)},
	{"GET", "/address_book/registered_users", withUser(registeredUsers)},

	{"GET", "/data/{}", withUser(listRecords)},
	{"POST", "/data/{}", withUser(createRecord)},
	{"POST", "/data/{}/multi", withUser(createRecords)},
	{"PUT", "/data/{}/multi", withUser(updateRecords)},
	{"PUT", "/data/{}/by_criteria", withUser(updateMatching)},
	{"DELETE", "/data/{}/by_criteria", withUser(deleteMatching)},
	{"GET", "/data/{}/{}", withUser(getRecords)},
	{"PUT", "/data/{}/{}", withUser(updateRecord)},
	{"DELETE", "/data/{}/{}", withUser(deleteRecords)},

	{"GET", "/chat/dialog", withUser(listDialogs)},
	{"POST", "/chat/dialog", withUser(createDialog)},
	{"DELETE", "/chat/dialog/clearhistory/{}", withUser(clearHistory)},
	{"PUT", "/chat/dialog/{}", withUser(updateDialog)},
	{"DELETE", "/chat/dialog/{}", withUser(deleteDialogs)},
	{"PUT", "/chat/dialog/{}/admins", withUser(updateAdmins)},
	{"POST", "/chat/dialog/{}/subscribe", withUser(subscribe)},
	{"DELETE", "/chat/dialog/{}/subscribe", withUser(unsubscribe)},
	{"GET", "/chat/dialog/{}/occupants", withUser(listOccupants)},
	{"GET", "/chat/dialog/{}/notifications", withUser(getNotifications)},
	{"PUT", "/chat/dialog/{}/notifications", withUser(putNotifications)},
	{"GET", "/chat/message", withUser(listMessages)},
	{"POST", "/chat/message", withUser(createMessage)},
	{"PUT", "/chat/message", withUser(updateMessages)},
	{"GET", "/chat/message/unread", withUser(unreadCount)},
	{"POST", "/chat/message/system", withUser(postSystem)},
	{"PUT", "/chat/message/{}", withUser(updateMessages)},
	{"DELETE", "/chat/message/{}", withUser(deleteMessages)},
	{"GET", "/chat/message/{}/reactions", withUser(listReactions)},
	{"PUT", "/chat/message/{}/reactions", withUser(putReaction)},
	{"GET", "/chat/search", withUser(searchChat)},

	{"DELETE", "/admin/user/{}", withAdmin(adminDeleteUser)},
	{"GET", "/admin/chat/list", withAdmin(adminListDialogs)},
	{"GET", "/admin/chat/messages/list", withAdmin(adminListMessages)},
	{"PUT", "/admin/chat/{}", withAdmin(adminUpdateDialog)},
	{"GET", "/admin/stats/messages/sent-total", adminTotal((*API).sentDays)},
	{"GET", "/admin/stats/messages/sent-per-day", adminPerDay((*API).sentDays)},
	{"GET", "/admin/stats/dialogs/created-total", adminTotal((*API).createdDays)},
	{"GET", "/admin/stats/dialogs/created-per-day", adminPerDay((*API).createdDays)},
}

// findRoute matches an escaped path. Words match in any letter case. The values of {}
// keep their letter case and may contain an encoded slash.
func findRoute(method, escaped string) (handler, []string, bool) {
	parts := strings.Split(trimSuffix(escaped), "/")
	for _, r := range routes {
		if r.method != method {
			continue
		}
		if args, ok := matchPath(strings.Split(r.path, "/"), parts); ok {
			return r.handle, args, true
		}
	}
	return nil, nil, false
}

func matchPath(pattern, parts []string) (args []string, ok bool) {
	if len(pattern) != len(parts) {
		return nil, false
	}
	for i, want := range pattern {
		got, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil, false
		}
		if want == "{}" {
			args = append(args, got)
		} else if !strings.EqualFold(want, got) {
			return nil, false
		}
	}
	return args, true
}

// trimSuffix removes a slash at the end and exactly one .json, in any letter case.
func trimSuffix(path string) string {
	path = strings.TrimSuffix(path, "/")
	if n := len(path) - len(".json"); n >= 0 && strings.EqualFold(path[n:], ".json") {
		return path[:n]
	}
	return path
}

// withSession runs h under the lock with the live session of the token. The use
// extends the session, even if h refuses.
func withSession(h func(*API, *request, *core.Session) (reply, error)) handler {
	return func(s *API, q *request) (reply, error) {
		s.Lock()
		defer s.Unlock()
		live, err := s.Registry.Use(q.token, q.now)
		if err != nil {
			return reply{}, err
		}
		answer, err := h(s, q, live)
		answer.expires = live.Expires()
		if live.Closed {
			answer.expires = time.Time{}
		}
		return answer, err
	}
}

// withUser is withSession for calls that require a user.
func withUser(h func(*API, *request, *core.Session) (reply, error)) handler {
	return withSession(func(s *API, q *request, live *core.Session) (reply, error) {
		if live.User == nil {
			return reply{}, errNeedUser
		}
		return h(s, q, live)
	})
}

func noResource(*API, *request, *core.Session) (reply, error) { return reply{}, core.ErrNoResource }
