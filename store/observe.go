package store

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
)

// Command is one command of the driver, for metrics.
type Command struct {
	Name   string // such as find; the names are the program's
	Failed bool
	Took   time.Duration
}

// monitor passes the driver's events on. It asks for no event at the start of a command,
// for which the driver copies the command.
func monitor(observe func(Command)) *event.CommandMonitor {
	return &event.CommandMonitor{
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			observe(Command{Name: e.CommandName, Took: e.Duration})
		},
		Failed: func(_ context.Context, e *event.CommandFailedEvent) {
			observe(Command{Name: e.CommandName, Failed: true, Took: e.Duration})
		},
	}
}
