package server

import (
	"log/slog"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strconv"
	"sync"
	"time"

	"cubegate/middleware"
	"cubegate/resolvers/apierror"

	"github.com/go-chi/chi/v5"
)

// maxProfile is the longest time that a profile may be taken for. pprof extends the write
// timeout of the listener by that time, and has no bound of its own.
const maxProfile = time.Minute

// opsConnections bounds the connections of the operators' listener.
const opsConnections = 64

// openOps opens the operators' listener. It serves no route of the API, and the API's
// listener none of its routes, because those ask for no password. It speaks HTTP even with
// --tls, whose certificates are for apps.
func openOps(at string, m *meters, health *probes, log *slog.Logger) (*endpoint, error) {
	conns, err := middleware.NewConnections(middleware.ConnectionsOptions{Max: opsConnections, Fresh: opsConnections, Reserved: probeReservation(), Log: log})
	if err != nil {
		return nil, err
	}
	e, err := listenOn(at, conns, log)
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.Use(conns.Streams, middleware.RequestID, middleware.Discard)
	r.NotFound(apierror.Handler(apierror.NotFound, "No such route; this listener has /metrics, /readyz, /healthz and /debug/pprof/", log))
	r.Method(http.MethodGet, "/metrics", m.handler(log))
	r.Get("/healthz", health.alive)
	r.Get("/readyz", health.ready)
	profiles := r.With(boundProfile(log))
	profiles.Get("/debug/pprof/cmdline", pprof.Cmdline)
	profiles.Get("/debug/pprof/profile", pprof.Profile)
	profiles.Get("/debug/pprof/symbol", pprof.Symbol)
	profiles.Get("/debug/pprof/trace", pprof.Trace)
	profiles.Get("/debug/pprof/*", pprof.Index) // and the profiles that it lists
	e.server.Handler, e.server.WriteTimeout = r, pageTimeout
	return e, nil
}

// sampleHeap ends the runtime's record of allocations for /debug/pprof/heap, unless at names
// the operators' listener. A sample takes the whole call stack, which is deep in a request.
func sampleHeap(at string) {
	if at == "" {
		endHeapSampling()
	}
}

// endHeapSampling writes the rate once in a process, as its documentation asks: a test
// binary runs several servers at a time.
var endHeapSampling = sync.OnceFunc(func() { runtime.MemProfileRate = 0 })

// boundProfile refuses a profile of more than maxProfile.
func boundProfile(log *slog.Logger) func(http.Handler) http.Handler {
	refuse := apierror.Handler(apierror.BadUserInput, "seconds must be at most "+strconv.Itoa(int(maxProfile.Seconds())), log)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64)
			if err == nil && !(seconds <= maxProfile.Seconds()) { // also not a number
				refuse(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
