package control

import (
	"fmt"
	"maps"
	"net/http"

	"cubegate/connectycube/sandbox/core"
)

// hideHeaders masks the values from the program's Options: clients of the control
// area must not see them. It changes the map of c.
func hideHeaders(c core.CIdP, given map[string]string) core.CIdP {
	for name, value := range c.Headers {
		if value != "" && value == given[name] && !core.Placeholder.MatchString(value) {
			c.Headers[name] = core.Masked
		}
	}
	return c
}

// restoreHeaders replaces masks with the values from the Options, so that a client can
// read the settings and write them back.
func restoreHeaders(c core.CIdP, given map[string]string) (core.CIdP, error) {
	c.Headers = maps.Clone(c.Headers)
	for name, value := range c.Headers {
		if value != core.Masked {
			continue
		}
		if given[name] == "" {
			return core.CIdP{}, fmt.Errorf("cidp: headers: the mask of %q hides no value", name)
		}
		c.Headers[name] = given[name]
	}
	return c, nil
}

func (s *Area) getCIdP(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, hideHeaders(s.Provider(), s.givenHeaders))
}

func (s *Area) putCIdP(w http.ResponseWriter, r *http.Request) {
	var c core.CIdP
	if !readControl(w, r, &c) {
		return
	}
	c, err := restoreHeaders(c, s.givenHeaders)
	if err == nil {
		err = s.SetCIdP(c)
	}
	if err != nil {
		controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	answerJSON(w, http.StatusOK, hideHeaders(c.Clone(), s.givenHeaders))
}
