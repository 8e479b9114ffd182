package sandbox

import (
	"errors"
	"net/http"
)

// refuse writes err, which is a *refusal unless the sandbox itself is at fault.
func refuse(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{http.StatusInternalServerError, []string{"The sandbox has a defect"}}
	}
	writeJSON(w, r.status, map[string]any{"errors": r.errors})
}
