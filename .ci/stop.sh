# For scripts to source: ends a process that this shell has started.

# stop PID sends SIGTERM, waits for the process, and returns its exit status. A
# process that has not ended after 20 seconds, which is longer than
# SHUTDOWN_TIMEOUT, gets SIGKILL. Until it has ended it may still write to its
# folder. Without a PID, stop does nothing.
stop() {
  [ -n "${1:-}" ] || return 0
  kill -TERM "$1" 2>/dev/null || true
  for _ in $(seq 200); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$1" 2>/dev/null || true
  wait "$1"
}
