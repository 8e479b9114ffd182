package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"cubegate/connectycube"
	"cubegate/store"
)

// settingOf names the setting of an option of the client.
var settingOf = map[connectycube.Option]string{
	connectycube.OptionAppID:   "APP_ID",
	connectycube.OptionAuthKey: "AUTH_KEY",
	connectycube.OptionBaseURL: "CONNECTYCUBE_API_URL",
}

// maxCheckInterval is the longest time between two checks of the settings.
const maxCheckInterval = time.Minute

// cubeCheck asks ConnectyCube at the start whether it accepts our settings, and goes on
// until it does. Neither an outage nor wrong settings stop the start: users who are
// logged in can use the rest.
type cubeCheck struct {
	check func(context.Context) error
	log   *slog.Logger
	told  string // the last line, to log each only once
}

// ask asks once. It returns the setting that is wrong, "" if none is known, and whether
// ConnectyCube accepts the settings.
func (c *cubeCheck) ask(ctx context.Context) (setting string, accepted bool) {
	err := c.check(ctx)
	wrong, isWrong := errors.AsType[*connectycube.WrongOptionError](err)
	switch {
	case ctx.Err() != nil:
	case isWrong:
		setting = settingOf[wrong.Option]
		if c.changes(setting + wrong.Reason) {
			c.log.LogAttrs(ctx, slog.LevelError, "ConnectyCube does not accept a setting; registrations are refused",
				slog.String("setting", setting), slog.String("reason", wrong.Reason), slog.Any("err", wrong.Cause))
		}
	case err != nil:
		if c.changes("away") {
			c.log.LogAttrs(ctx, slog.LevelWarn, "ConnectyCube does not tell yet whether it accepts the settings", slog.Any("err", err))
		}
	case c.told != "":
		c.log.LogAttrs(ctx, slog.LevelInfo, "ConnectyCube accepts the settings")
	}
	return setting, err == nil
}

func (c *cubeCheck) changes(line string) bool {
	changed := c.told != line
	c.told = line
	return changed
}

// run asks again until ConnectyCube accepts the settings or ctx ends.
func (c *cubeCheck) run(ctx context.Context) {
	for attempt := 0; ; attempt++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(store.BackOff(attempt, 0), maxCheckInterval)):
		}
		if _, accepted := c.ask(ctx); accepted {
			return
		}
	}
}
