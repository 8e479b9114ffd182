package lifecycle

import (
	"fmt"
	"path/filepath"
	"strings"
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

// The operators' listener asks for no password: Prometheus reaches it on a network of its
// own, and no port is published.
func TestComposeKeepsMetricsInside(t *testing.T) {
	v := viper.New()
	v.SetConfigFile(filepath.Join(servertest.ModuleRoot, "compose.yaml"))
	if err := v.ReadInConfig(); err != nil {
		t.Fatal(err)
	}
	at := v.GetString("services.cubegate.environment.ops_addr")
	cfg := servertest.Configure(t, map[string]string{"OPS_ADDR": at})
	if at != "0.0.0.0:9090" || cfg.HTTP.OpsAddr != at || !v.GetBool("networks.back.internal") || v.IsSet("services.cubegate.ports") {
		t.Errorf("OPS_ADDR=%s, back is internal: %v, published: %v", at, v.GetBool("networks.back.internal"), v.Get("services.cubegate.ports"))
	}
	for name := range v.GetStringMap("services") {
		if strings.Contains(fmt.Sprint(v.Get("services."+name+".ports"), v.Get("services."+name+".command")), "9090") {
			t.Errorf("service %s leads to port 9090", name)
		}
	}
}
