package shape

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/identity"

	"github.com/spf13/viper"
)

// frozenMetrics lists the names, types and labels of all metrics.
func frozenMetrics(t *testing.T) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(readText(t, "server/lifecycle/testdata/metrics.txt")), "\n")
}

// families lists the metrics of libraries, which the page explains together.
var families = []string{"cubegate_go_", "cubegate_process_"}

// docs/operations/metrics.md has a row for each metric and no other.
func TestPageExplainsEachMetric(t *testing.T) {
	t.Parallel()
	page, rows := readText(t, "docs/operations/metrics.md"), 0
	for _, line := range frozenMetrics(t) {
		words := strings.Fields(line)
		if slices.ContainsFunc(families, func(f string) bool { return strings.HasPrefix(line, f) }) {
			continue
		}
		labels := ""
		if len(words) > 2 {
			labels = words[2]
		}
		row := regexp.MustCompile("(?m)^\\| `" + words[0] + "` \\| " + words[1] + " \\| ([a-z, ]*)\\| .+ \\|$").FindStringSubmatch(page)
		if row == nil {
			t.Errorf("the page lacks a row for %s", line)
			continue
		}
		rows++
		listed := strings.FieldsFunc(row[1], func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(listed)
		if strings.Join(listed, ",") != labels {
			t.Errorf("the page has the labels %v for %s", listed, line)
		}
	}
	for _, family := range families {
		if !strings.Contains(page, "| `"+family+"*` |") {
			t.Errorf("the page lacks a row for %s*", family)
		}
		rows++
	}
	if got := strings.Count(page, "\n| `cubegate_"); got != rows || rows < 20 {
		t.Errorf("the page has %d rows of metrics, want %d", got, rows)
	}
}

func TestPageExplainsLabels(t *testing.T) {
	t.Parallel()
	page := readText(t, "docs/operations/metrics.md")
	for _, reason := range apierror.Reasons() {
		row := "\n| `" + string(reason) + "` | " + string(reason.Outcome()) + " | "
		if reason != apierror.ReasonNone && !strings.Contains(page, row) {
			t.Errorf("the page lacks the row %q", row)
		}
	}
	_, budgets, _ := strings.Cut(page, "\n**budget** is ")
	budgets, _, _ = strings.Cut(budgets, "\n\n")
	for _, budget := range identity.BudgetNames() {
		if !strings.Contains(budgets, "`"+budget+"`") {
			t.Errorf("the page lacks the budget %s", budget)
		}
	}
}

// There are six alerts. Each asks for metrics that exist, and the page has its sentence of
// what to do.
func TestAlertsSayWhatToDo(t *testing.T) {
	t.Parallel()
	v := viper.New()
	v.SetConfigFile(filepath.Join(root, "docs/operations/alerts.yml"))
	if err := v.ReadInConfig(); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary, Action string }
			}
		}
	}
	if err := v.Unmarshal(&file); err != nil {
		t.Fatal(err)
	}
	page, metrics := readText(t, "docs/operations/metrics.md"), strings.Join(frozenMetrics(t), "\n")+"\n"
	alerts := 0
	for _, rule := range file.Groups[0].Rules {
		alerts++
		row := regexp.MustCompile("(?m)^\\| `" + rule.Alert + "` \\| .+ \\| " + regexp.QuoteMeta(rule.Annotations.Action) + " \\|$")
		if !row.MatchString(page) || rule.Annotations.Summary == "" || !strings.HasSuffix(rule.Annotations.Action, ".") {
			t.Errorf("the page lacks %s with %q", rule.Alert, rule.Annotations.Action)
		}
		for _, name := range regexp.MustCompile(`cubegate_[a-z_]+`).FindAllString(rule.Expr, -1) {
			if !strings.Contains("\n"+metrics, "\n"+strings.TrimSuffix(name, "_bucket")+" ") {
				t.Errorf("%s asks for %s, which does not exist", rule.Alert, name)
			}
		}
	}
	if alerts != 6 || len(file.Groups) != 1 {
		t.Errorf("%d alerts in %d groups, want 6 in one", alerts, len(file.Groups))
	}
}
