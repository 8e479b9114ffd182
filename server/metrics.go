package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"cubegate/connectycube"
	"cubegate/middleware"
	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"
	"cubegate/server/config"
	"cubegate/store"
	"cubegate/tokens"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricPrefix begins the name of every metric.
const metricPrefix = "cubegate_"

// meters counts what happens. The other packages know nothing of it: they get its methods
// as functions. Every series exists from the start, and no label has a text of a client.
// A method takes no lock that another request holds, and allocates nothing.
//
// docs/operations/metrics.md explains each metric.
type meters struct {
	registry *prometheus.Registry
	state    *stateCollector

	operations map[string]map[apierror.Reason]prometheus.Counter // logins, registrations, refreshes, verifications
	codes      map[apierror.Code]prometheus.Counter
	budgets    map[string]prometheus.Counter

	hashWaits    map[tokens.HashClass]prometheus.Observer
	hashRefusals map[tokens.HashClass]map[error]prometheus.Counter

	exchanges    map[connectycube.Result]prometheus.Counter
	exchangeTime prometheus.Histogram
	commands     map[string]outcomes
	commandTime  prometheus.Histogram
}

// outcomes are the counters of one command of the database.
type outcomes struct{ ok, failed prometheus.Counter }

// otherCommand is the label of the commands that are not listed.
const otherCommand = "other"

// databaseCommands lists the commands that requests and background work send.
var databaseCommands = []string{"find", "findAndModify", "insert", "update", "delete", "aggregate", "getMore", "ping", otherCommand}

// Upper bounds of the histograms in seconds. The lowest is below a usual value, and the
// highest above the time-out.
var (
	hashBuckets     = []float64{.001, .01, .05, .1, .25, .5, 1, 2.5, 5, 10}
	exchangeBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	commandBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5}
)

// newMetrics returns metrics in a registry of their own.
func newMetrics(cfg config.Config) *meters {
	m := &meters{registry: prometheus.NewRegistry(), state: &stateCollector{}}
	m.registry.MustRegister(m.state)
	prometheus.WrapRegistererWithPrefix(metricPrefix, m.registry).MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.addOperations()
	m.codes = counters(m, description{"errors_total", "Errors that clients got, by code."}, "code", apierror.Codes())
	m.budgets = counters(m, description{"budget_refusals_total", "Requests that a spent budget refused, or would have refused if LIMITS were not observe."}, "budget", identity.BudgetNames())
	m.addHashing()
	m.exchanges = counters(m, description{"connectycube_requests_total", "Requests to ConnectyCube, by result; suspended ones were not sent."}, "result", connectycube.Results())
	m.exchangeTime = m.histogram(description{"connectycube_request_duration_seconds", "Time until ConnectyCube's answer, or until none came."}, exchangeBuckets)
	m.addCommands()
	m.addConstants(cfg)
	return m
}

// description is the name of a metric without the prefix, and its text for Prometheus.
type description struct{ name, help string }

// counterVec registers a counter with labels.
func (m *meters) counterVec(d description, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + d.name, Help: d.help}, labels)
	m.registry.MustRegister(v)
	return v
}

// counters registers a counter with one label and returns the series of all values.
func counters[V ~string](m *meters, d description, label string, values []V) map[V]prometheus.Counter {
	vec, all := m.counterVec(d, label), map[V]prometheus.Counter{}
	for _, v := range values {
		all[v] = vec.WithLabelValues(string(v))
	}
	return all
}

func (m *meters) histogram(d description, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricPrefix + d.name, Help: d.help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

func (m *meters) addOperations() {
	m.operations = map[string]map[apierror.Reason]prometheus.Counter{}
	for _, counted := range []struct {
		description
		operations []string
	}{
		{description{"logins_total", "Logins, by outcome and reason."}, []string{"login", "login_By_token"}},
		{description{"registrations_total", "Registrations, by outcome and reason."}, []string{"register"}},
		{description{"refreshes_total", "Uses of refresh tokens, by outcome and reason."}, []string{"refresh"}},
		{description{"verifications_total", "Callbacks of ConnectyCube to the verify route, by outcome and reason."}, []string{"verify"}},
	} {
		vec, byReason := m.counterVec(counted.description, "outcome", "reason"), map[apierror.Reason]prometheus.Counter{}
		for _, r := range apierror.Reasons() {
			byReason[r] = vec.WithLabelValues(string(r.Outcome()), string(r))
		}
		for _, operation := range counted.operations {
			m.operations[operation] = byReason
		}
	}
}

func (m *meters) addHashing() {
	waits := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: metricPrefix + "hash_wait_seconds", Help: "Wait of a password for its turn to be hashed, by class of the client.", Buckets: hashBuckets,
	}, []string{"class"})
	m.registry.MustRegister(waits)
	refusals := m.counterVec(description{"hash_refusals_total", "Passwords that were not hashed because too many waited, in the whole queue or in the lane of the client."}, "class", "reason")
	m.hashWaits, m.hashRefusals = map[tokens.HashClass]prometheus.Observer{}, map[tokens.HashClass]map[error]prometheus.Counter{}
	for _, class := range tokens.HashClasses() {
		m.hashWaits[class] = waits.WithLabelValues(class.String())
		m.hashRefusals[class] = map[error]prometheus.Counter{
			tokens.ErrBusy:     refusals.WithLabelValues(class.String(), "queue_full"),
			tokens.ErrLaneFull: refusals.WithLabelValues(class.String(), "lane_full"),
		}
	}
}

func (m *meters) addCommands() {
	m.commandTime = m.histogram(description{"database_command_duration_seconds", "Time of a command of the database."}, commandBuckets)
	vec := m.counterVec(description{"database_commands_total", "Commands that were sent to the database, by outcome."}, "command", "outcome")
	m.commands = map[string]outcomes{}
	for _, name := range databaseCommands {
		m.commands[name] = outcomes{vec.WithLabelValues(name, string(apierror.OutcomeOK)), vec.WithLabelValues(name, string(apierror.OutcomeFailed))}
	}
}

// addConstants registers what does not change while the process runs.
func (m *meters) addConstants(cfg config.Config) {
	gauge := func(d description, labels prometheus.Labels, value bool) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: metricPrefix + d.name, Help: d.help, ConstLabels: labels})
		g.Set(oneIf(value))
		m.registry.MustRegister(g)
	}
	b := buildOf(debug.ReadBuildInfo())
	gauge(description{"build_info", "The running build; always 1."}, prometheus.Labels{"version": b.version, "revision": b.revision, "goversion": b.goVersion}, true)
	standIn := description{"stand_in", "Whether a stand-in runs in place of the real service: 1 for yes."}
	gauge(standIn, prometheus.Labels{"service": "database"}, cfg.HasEmbeddedDatabase())
	gauge(standIn, prometheus.Labels{"service": "connectycube"}, cfg.HasSandbox())
}

// operation gets the end of each operation, for the request's log line, and counts those
// that have a metric.
func (m *meters) operation(ctx context.Context, name string, reason apierror.Reason) {
	if c := m.operations[name][reason]; c != nil {
		c.Inc()
	}
	if reason == apierror.ReasonNone {
		reason = ""
	}
	middleware.NoteOperation(ctx, name, string(reason))
}

// code counts an error that a client gets, for the request's log line, too.
func (m *meters) code(ctx context.Context, code apierror.Code) {
	if c := m.codes[code]; c != nil {
		c.Inc()
	}
	middleware.NoteCode(ctx, string(code))
}

// budget counts a request that a budget refuses.
func (m *meters) budget(name string) {
	if c := m.budgets[name]; c != nil {
		c.Inc()
	}
}

// hashWait counts a wait for a turn to hash.
func (m *meters) hashWait(w tokens.HashWait) {
	if w.Err == nil || w.Took > 0 {
		m.hashWaits[w.Class].Observe(w.Took.Seconds())
	}
	if full, ok := errors.AsType[*tokens.QueueError](w.Err); ok {
		m.hashRefusals[w.Class][full.Reason].Inc()
	}
}

// exchange counts a request to ConnectyCube.
func (m *meters) exchange(e connectycube.Exchange) {
	m.exchanges[e.Result].Inc()
	if e.Took > 0 {
		m.exchangeTime.Observe(e.Took.Seconds())
	}
}

// command counts a command of the database.
func (m *meters) command(c store.Command) {
	m.commandTime.Observe(c.Took.Seconds())
	name := c.Name
	if !slices.Contains(databaseCommands, name) {
		name = otherCommand
	}
	if c.Failed {
		m.commands[name].failed.Inc()
		return
	}
	m.commands[name].ok.Inc()
}

// Bounds of a scrape. Prometheus waits for 10 s by default.
const (
	scrapeTimeout  = 5 * time.Second
	scrapesAtOnce  = 4
	backlogTimeout = 2 * time.Second
	backlogMaxAge  = 5 * time.Second // scrapes within this time share one look at the database
)

// handler serves the metrics to Prometheus.
func (m *meters) handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTimeout,
	})
}

// collectFrom names the parts that a scrape looks at.
func (m *meters) collectFrom(p liveParts) { m.state.parts = p }

// liveParts are the parts whose state a scrape reads.
type liveParts struct {
	hashing      func() tokens.HashState
	auditing     func() identity.AuditState
	cube         func() connectycube.Health
	countBacklog func(context.Context) (store.Backlog, error)
}

func describeState(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

// The metrics that a scrape reads from the parts of the server.
var (
	hashWaiting = describeState("hash_queue_waiting", "Passwords that wait to be hashed, by class of the client.", "class")
	hashLanes   = describeState("hash_queue_lanes", "Lanes of the queue in use, by class of the client.", "class")
	hashRunning = describeState("hash_running", "Passwords that are hashed now.")
	hashSlots   = describeState("hash_slots", "Passwords that may be hashed at once.")

	auditWaiting = describeState("audit_queue_waiting", "Records of refusals that wait to be written; equal refusals are one.")
	auditLost    = describeState("audit_lost_total", "Events and refusals that have no record, because the database or the queue did not take them.")

	suspended = describeState("connectycube_suspended", "Whether the circuit breaker suspends calls to ConnectyCube: 1 for yes.")

	backlog    = describeState("provisioning_backlog", "Background work that waits, up to 10000: accounts that differ at ConnectyCube, and sessions to end there.", "queue")
	oldest     = describeState("provisioning_oldest_age_seconds", "Age of the oldest account in the backlog; 0 if none waits.")
	databaseUp = describeState("database_up", "Whether the database answered the last look at the backlog: 1 for yes.")
)

// stateCollector reads the state of the server's parts at each scrape.
type stateCollector struct {
	parts liveParts

	mu     sync.Mutex // held while the backlog is read, so that scrapes at once read it once
	last   store.Backlog
	readAt time.Time
	up     bool
}

// Describe implements [prometheus.Collector].
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{hashWaiting, hashLanes, hashRunning, hashSlots, auditWaiting, auditLost, suspended, backlog, oldest, databaseUp} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	hashing := c.parts.hashing()
	for class, load := range hashing.Classes {
		gauge(hashWaiting, float64(load.Waiting), class.String())
		gauge(hashLanes, float64(load.Lanes), class.String())
	}
	gauge(hashRunning, float64(hashing.Running))
	gauge(hashSlots, float64(hashing.Slots))

	auditing := c.parts.auditing()
	gauge(auditWaiting, float64(auditing.Waiting))
	out <- prometheus.MustNewConstMetric(auditLost, prometheus.CounterValue, float64(auditing.Lost))

	gauge(suspended, oneIf(c.parts.cube().Suspended))
	waiting, up := c.backlog()
	gauge(backlog, float64(waiting.Accounts), "accounts")
	gauge(backlog, float64(waiting.Revocations), "revocations")
	gauge(oldest, waiting.OldestAge.Seconds())
	gauge(databaseUp, oneIf(up))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// backlog returns the backlog that a look at the database found within backlogMaxAge. While
// the database does not answer, it is the last one that is known.
func (c *stateCollector) backlog() (found store.Backlog, up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.readAt.IsZero() && time.Since(c.readAt) < backlogMaxAge {
		return c.last, c.up
	}
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	found, err := c.parts.countBacklog(ctx)
	if c.up = err == nil; c.up {
		c.last = found
	}
	c.readAt = time.Now()
	return c.last, c.up
}
