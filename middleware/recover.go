package middleware

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"

	chimiddleware "github.com/go-chi/chi/v5/middleware"
)

// maxStack bounds a logged stack, in bytes. The innermost frames come first.
const maxStack = 16 << 10

// Recover turns a panic into one Error line and refuse's answer, which should be
// a bare 500. When the answer has already begun, it cannot become a 500 and must
// not look complete: the connection is cut instead, as http.ErrAbortHandler
// does, which itself passes through untouched.
//
// The line has the panic's type and the stack. Of its text it has only what the
// runtime wrote (index out of range, nil map): any other value was made by code
// that had the request at hand, and may hold a password or a token. What it says
// stands in the source, at the line the stack names.
func Recover(log *slog.Logger, refuse http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ww, ok := w.(chimiddleware.WrapResponseWriter) // Log's, as a rule
			if !ok {
				ww = chimiddleware.NewWrapResponseWriter(w, r.ProtoMajor)
			}
			defer func() {
				value := recover()
				if value == nil {
					return
				}
				if value == http.ErrAbortHandler {
					panic(value)
				}
				stack := make([]byte, maxStack)
				stack = stack[:runtime.Stack(stack, false)]
				log.LogAttrs(r.Context(), slog.LevelError, "panic",
					slog.String("panic", describe(value)), slog.String("stack", string(stack)))
				if ww.Status() != 0 {
					panic(http.ErrAbortHandler)
				}
				// What the handler meant to send would not fit the answer it gets.
				for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Type", "Etag", "Last-Modified", "Set-Cookie"} {
					ww.Header().Del(name)
				}
				ww.Header().Set("Cache-Control", "no-store")
				refuse(ww, r)
			}()
			next.ServeHTTP(ww, r)
		})
	}
}

func describe(value any) string {
	if err, ok := value.(runtime.Error); ok {
		return bounded(fmt.Sprintf("%T: %v", value, err), 256)
	}
	return fmt.Sprintf("%T", value)
}
