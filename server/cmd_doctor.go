package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"cubegate/server/config"

	"github.com/spf13/cobra"
)

// The bounds of --hash-time.
const (
	leastHashTime = time.Millisecond
	mostHashTime  = 10 * time.Second
)

func (p process) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "doctor [--json] [--hash-time 250ms] [--tls]",
		Short:      "checks the set-up and names a cure for each fault; exit status 0 or 1",
		Long:       "Checks the set-up, best beside the running server and with its settings. It changes nothing that it does not remove again, and prints no secret.",
		Example:    "  cubegate doctor\n  cubegate doctor --hash-time 250ms",
		SuggestFor: []string{"diagnose", "verify", "test", "status"},
	}
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	wanted := cmd.Flags().Duration("hash-time", 0, "also find settings of argon2id whose hash takes this `time` on this machine")
	secure := cmd.Flags().Bool("tls", false, "the server runs with --tls")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("hash-time") && (*wanted < leastHashTime || *wanted > mostHashTime) {
			return usageError{fmt.Errorf("--hash-time is %s, want %s to %s", *wanted, leastHashTime, mostHashTime)}
		}
		return p.doctor(cmd.Context(), doctorOptions{json: *asJSON, tls: *secure, hashTime: *wanted})
	}
	return cmd
}

// doctorOptions are the flags of the command.
type doctorOptions struct {
	json, tls bool
	hashTime  time.Duration // 0: none wanted
}

// diagnosis is the result of the command.
type diagnosis struct {
	OK        bool        `json:"ok"`
	Checks    []finding   `json:"checks"`
	Passwords *hashReport `json:"passwords,omitempty"`
}

// errUnhealthy ends the command after its report. Its text is a part of that.
var errUnhealthy = errors.New("the set-up has faults")

// doctor runs the checks and prints the report.
func (p process) doctor(ctx context.Context, o doctorOptions) error {
	var result diagnosis
	cfg, err := config.Load(p.configYAML, p.getenv, ".")
	if err != nil {
		result.Checks = settingFindings(err)
	} else {
		cfg.TLS = o.tls
		result = examineSetUp(ctx, cfg, o.hashTime)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	failures := 0
	for _, f := range result.Checks {
		if f.State == stateFailed {
			failures++
		}
	}
	result.OK = failures == 0
	if o.json {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(result)
	} else {
		err = result.print(p.stdout)
	}
	if err == nil && failures > 0 {
		err = fmt.Errorf("%w: %d of %s failed", errUnhealthy, failures, counted(len(result.Checks), "check"))
	}
	return err
}

// namedSetting finds the variable in a fault of the settings, such as "port (PORT): …".
var namedSetting = regexp.MustCompile(`^[a-z0-9_.]+ \(([A-Z0-9_]+)`)

// settingFindings returns one finding for each fault of the settings.
func settingFindings(err error) []finding {
	faults := []error{err}
	if list, ok := errors.AsType[*config.LoadError](err); ok {
		faults = list.Faults
	}
	var findings []finding
	for _, fault := range faults {
		cure := "correct it; \"cubegate --help\" explains all settings"
		if named := namedSetting.FindStringSubmatch(fault.Error()); named != nil {
			cure = fmt.Sprintf("correct it; \"cubegate help %s\" explains it", named[1])
		}
		findings = append(findings, failedBy(fault.Error(), cure).named("settings"))
	}
	return findings
}

// examineSetUp runs the checks for settings that are valid.
func examineSetUp(ctx context.Context, cfg config.Config, hashTime time.Duration) diagnosis {
	d := newDoctor(ctx, cfg)
	defer d.Close() // the doctor's own connections
	d.run(ctx)
	report, err := d.measureHashes(ctx, hashTime)
	if err != nil {
		d.list = append(d.list, failedBy(err.Error(), "correct PASSWORD_MEMORY, PASSWORD_ITERATIONS and PASSWORD_PARALLELISM").named("password hashes"))
		return diagnosis{Checks: d.list}
	}
	return diagnosis{Checks: d.list, Passwords: &report}
}

func (r diagnosis) print(w io.Writer) error {
	var b strings.Builder
	var reasons []string
	notChecked := map[string][]string{} // by the reason: one reason often skips many checks
	for _, f := range r.Checks {
		if f.State == stateSkipped {
			if notChecked[f.Found] == nil {
				reasons = append(reasons, f.Found)
			}
			notChecked[f.Found] = append(notChecked[f.Found], f.Check)
			continue
		}
		fmt.Fprintf(&b, "  %-9s%-19s%s%s\n", f.State, f.Check, f.Found, f.Cause)
		if f.Cure != "" {
			fmt.Fprintf(&b, "           cure: %s\n", f.Cure)
		}
	}
	for _, reason := range reasons {
		fmt.Fprintf(&b, "  skipped  %s (%s)\n", strings.Join(notChecked[reason], ", "), reason)
	}
	if h := r.Passwords; h != nil {
		fmt.Fprintf(&b, "\nThis machine carries about %.0f logins a second: %d at once, %.0f ms for each hash.\n", h.LoginsPerSecond, h.AtOnce, h.HashMS)
		if fit := h.Wanted; fit != nil {
			fmt.Fprintf(&b, "For %.0f ms: PASSWORD_MEMORY=%d PASSWORD_ITERATIONS=%d PASSWORD_PARALLELISM=%d (%.0f ms, about %.0f logins a second).\n",
				fit.WantedMS, fit.Memory, fit.Iterations, fit.Parallelism, fit.HashMS, fit.LoginsPerSecond)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
