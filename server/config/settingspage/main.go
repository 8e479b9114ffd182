// Command settingspage prints docs/settings.md, the page of all settings, made from
// config.yaml. Run it in the module's root:
//
//	go run ./server/config/settingspage >docs/settings.md
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"cubegate/server/config"
)

func main() {
	yaml, err := os.ReadFile("config.yaml")
	if err == nil {
		out := bufio.NewWriter(os.Stdout)
		writePage(out, config.Settings(yaml))
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "settingspage:", err)
		os.Exit(1)
	}
}

const intro = `# Settings

Every setting with its variable, its default and its meaning. This page is made from [config.yaml](../config.yaml), which
is built into the program; [Testing](testing.md#generated-files) says how.

To change a setting, use its variable, or copy its lines from config.yaml into a file of your own and name that file in
` + "`CONFIG_FILE`" + `. The strongest source first:

1. the environment
2. ` + "`.env`" + ` in the working directory
3. the YAML file named by ` + "`CONFIG_FILE`" + `
4. the defaults below

An empty variable counts as unset. Durations have a unit (` + "`250ms`, `30s`, `5m`, `1h`" + `). A variable holds a list as words
between commas, or ` + "`none`" + ` for an empty list. A secret can be in a file: ` + "`NAME_FILE`" + ` names it. In ` + "`.env`" + `, put a value
with ` + "`$`, `#`" + ` or blanks between 'single quotes'. An unknown name in ` + "`.env`" + ` or in ` + "`CONFIG_FILE`" + ` is an error, and the server
reports all errors at once, before it opens anything.
`

// writePage writes the settings without a section first, then the sections in the order
// of config.yaml.
func writePage(w io.Writer, settings []config.Setting) {
	io.WriteString(w, intro)
	titles := []string{""}
	sections := map[string][]config.Setting{}
	for _, s := range settings {
		section, _, ok := strings.Cut(s.Key, ".")
		if !ok {
			section = ""
		}
		if section != "" && sections[section] == nil {
			titles = append(titles, section)
		}
		sections[section] = append(sections[section], s)
	}
	for _, title := range titles {
		heading := title
		if heading == "" {
			heading = "General"
		}
		fmt.Fprintf(w, "\n## %s\n\n| key | variable | default | meaning |\n| --- | --- | --- | --- |\n", heading)
		for _, s := range sections[title] {
			writeRow(w, s)
		}
	}
}

func writeRow(w io.Writer, s config.Setting) {
	env, value := "`"+s.Env+"`", ""
	if s.Secret {
		env += " or `" + s.Env + "_FILE`"
	}
	if s.Default != "" {
		value = "`" + s.Default + "`"
	}
	meaning := strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;").Replace(s.Comment)
	fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", s.Key, env, value, meaning)
}
