package chat

// Holds counts the server's data about connections and users, by kind.
func (s *Server) Holds() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]int{
		"sockets":   len(s.sockets),
		"users":     len(s.users),
		"resumable": len(s.resumable),
		"waiting":   s.waiting,
		"joined":    len(s.joined),
		"watchers":  len(s.watchers),
		"kept":      s.offline.order.Len() + len(s.offline.place) + s.offline.size,
		"privacy":   s.privacy,
		"queued":    int(s.queued.Load()),
	}
}
