# Scripts source this file to end a process that they have started.

# stop PID sends SIGTERM, waits until the process has ended, and returns its exit status. A
# process that runs for 20 more seconds gets SIGKILL; SHUTDOWN_TIMEOUT is shorter. A process
# that stops still writes to its folder. Without a PID, stop does nothing.
stop() {
  [ -n "${1:-}" ] || return 0
  kill -TERM "$1" 2>/dev/null || true
  for _ in $(seq 200); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$1" 2>/dev/null || true
  wait "$1"
}
