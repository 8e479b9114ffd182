package lifecycle

import (
	"path/filepath"
	"testing"
	"time"

	"cubegate/server/servertest"

	"github.com/spf13/viper"
)

// Docker kills a container after the grace period, so the period must be longer than
// the server needs to stop.
func TestComposeGivesTheServerTimeToStop(t *testing.T) {
	v := viper.New()
	v.SetConfigFile(filepath.Join(servertest.ModuleRoot, "compose.yaml"))
	if err := v.ReadInConfig(); err != nil {
		t.Fatal(err)
	}
	stop := servertest.Configure(t, nil).ShutdownTimeout
	if set := v.GetString("services.cubegate.environment.shutdown_timeout"); set != "" {
		var err error
		if stop, err = time.ParseDuration(set); err != nil {
			t.Fatal(err)
		}
	}
	if grace := v.GetDuration("services.cubegate.stop_grace_period"); grace < stop+2*time.Second {
		t.Errorf("stop_grace_period is %v; the server takes up to %v to stop", grace, stop)
	}
}
