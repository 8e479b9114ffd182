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

// Recover logs a panic in one Error line and answers with refuse, which should send a
// bare 500. If the answer has already begun, it cannot become a 500 and must not look
// complete, so Recover cuts the connection with http.ErrAbortHandler. A panic with
// http.ErrAbortHandler itself passes through.
//
// The line has the panic's type and the stack. It has the text only if the runtime
// wrote it (index out of range, nil map): any other text may contain a password or a
// token of the request. The stack leads to the source of such a text.
func Recover(log *slog.Logger, refuse http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ww, ok := w.(chimiddleware.WrapResponseWriter) // usually that of RequestLog
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
				// These headers of the handler do not apply to the answer of refuse.
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
