package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cubegate/middleware"

	"github.com/lmittmann/tint"
	"golang.org/x/text/width"
)

const (
	terminalColumns = 100         // of a line in a terminal that is wide enough
	narrowColumns   = 40          // of a line in a terminal that is narrower than this
	terminalIndent  = "         " // of a continued line: as wide as the time
)

// machineAttrs are the attributes that programs search for and that readers of a terminal
// do not need.
var machineAttrs = []string{"request_id", "trace_id", "span_id", "route", "bytes"}

// newTerminalHandler returns a handler for lines that a person reads: local time, and at
// most terminalColumns columns. A request has one line, which is cut if it is longer; any
// other record continues on indented lines, because its end is often the cause. So does a
// request in a terminal that has fewer columns, which columns returns for each record.
func newTerminalHandler(w io.Writer, level slog.Leveler, color bool, columns func() int) slog.Handler {
	return terminalHandler{tint.NewTextHandler(columnWriter{w, columns}, &tint.Options{
		Level: level, TimeFormat: time.TimeOnly, NoColor: !color,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			switch {
			case len(groups) == 0 && slices.Contains(machineAttrs, a.Key):
				return slog.Attr{}
			case a.Key == "err":
				return tint.Attr(9, a) // bright red
			}
			return a
		},
	})}
}

// terminalHandler rewrites the records of requests.
type terminalHandler struct{ slog.Handler }

func (h terminalHandler) Handle(ctx context.Context, record slog.Record) error {
	if record.Message == middleware.RequestMessage {
		record = requestLine(record)
	}
	return h.Handler.Handle(ctx, record)
}

func (h terminalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return terminalHandler{h.Handler.WithAttrs(attrs)}
}

func (h terminalHandler) WithGroup(name string) slog.Handler {
	return terminalHandler{h.Handler.WithGroup(name)}
}

// Attributes of a request that its line shows without their names, and the others in the
// order in which they get the columns that are left.
var (
	requestStart = []string{"method", "path", "status", "took_ms"}
	requestEnd   = []string{"operation", "reason", "code"}
	requestRest  = []string{"user_id", "client"}
)

// requestLine returns a record with the message "POST /api 200 12ms login", and the
// attributes that it does not contain. A refused request has its reason there, or else its
// code. The name of the operation gives way to the user if both do not fit: the path of a
// REST route tells as much, and the line must tell which user failed to log in.
func requestLine(record slog.Record) slog.Record {
	values := map[string]slog.Value{}
	rest := make([]slog.Attr, len(requestRest))
	record.Attrs(func(a slog.Attr) bool {
		if values[a.Key] = a.Value; a.Value.String() == "" || slices.Contains(machineAttrs, a.Key) {
			return true
		}
		if at := slices.Index(requestRest, a.Key); at >= 0 {
			rest[at] = a
		} else if !slices.Contains(requestStart, a.Key) && !slices.Contains(requestEnd, a.Key) {
			rest = append(rest, a)
		}
		return true
	})
	rest = slices.DeleteFunc(rest, func(a slog.Attr) bool { return a.Key == "" })
	start, operation, result := requestWords(values)
	words := slices.Concat(start, operation, result)
	if len(rest) > 0 && rest[0].Key == "user_id" && columnsLeft(words, rest[:1]) < 0 {
		words = slices.Concat(start, result)
	}
	shown := 0
	for shown < len(rest) && columnsLeft(words, rest[:shown+1]) >= 0 {
		shown++
	}
	line := slog.NewRecord(record.Time, record.Level, strings.Join(words, " "), record.PC)
	line.AddAttrs(rest[:shown]...)
	return line
}

// requestWords returns the words of a request's line, in three parts.
func requestWords(values map[string]slog.Value) (start, operation, result []string) {
	word := func(name string, most int) []string {
		if value, ok := values[name]; ok && value.String() != "" {
			return []string{printable(value.String(), most)}
		}
		return nil
	}
	start = slices.Concat(word("method", 8), word("path", 34), word("status", 3))
	if took := values["took_ms"]; took.Kind() == slog.KindFloat64 {
		start = append(start, fmt.Sprintf("%.0fms", took.Float64()))
	}
	if result = word("reason", 24); result == nil {
		result = word("code", 24)
	}
	return start, word("operation", 24), result
}

// columnsLeft returns the columns that are free in a line with these words and attributes.
func columnsLeft(words []string, attrs []slog.Attr) int {
	left := terminalColumns - len(terminalIndent) - len("INF ") - columns(strings.Join(words, " "))
	for _, a := range attrs {
		left -= len(" ") + len(a.Key) + len("=") + columns(a.Value.String())
	}
	return left
}

// printable cuts text to a number of columns, and replaces characters that could control
// the terminal.
func printable(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
	if columns(text) <= most {
		return text
	}
	for columns(text) > most-1 {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text + "…"
}

// columns returns the columns of text, which contains no escape sequence.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	return 1
}

// columnWriter breaks each line that is written into lines of at most the given columns, at
// blanks where possible. Each Write is one whole line, as tint writes it.
type columnWriter struct {
	w       io.Writer
	columns func() int
}

func (c columnWriter) Write(line []byte) (int, error) {
	if _, err := io.WriteString(c.w, breakLine(string(line), c.columns())); err != nil {
		return 0, err
	}
	return len(line), nil
}

// breakLine inserts the breaks. Escape sequences of colors have no width.
func breakLine(line string, most int) string {
	var out strings.Builder
	start, blank, column := 0, -1, 0 // of the current line: its first byte, its last blank, its width
	escape := false
	for at := 0; at < len(line); {
		r, size := utf8.DecodeRuneInString(line[at:])
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case r == '\n':
			column = 0
		default:
			column += columnsOf(r)
			if r == ' ' {
				blank = at
			}
		}
		if column > most {
			end, next := at, at
			if blank > start+len(terminalIndent) {
				end, next = blank, blank+1
			}
			out.WriteString(line[start:end] + "\n" + terminalIndent)
			start, at, blank, column, escape = next, next, -1, len(terminalIndent), false
			continue
		}
		at += size
	}
	out.WriteString(line[start:])
	return out.String()
}
