package resolvers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"cubegate/resolvers/apierror"
	"cubegate/resolvers/transport"
	"cubegate/store"
)

// asked returns the context of a request with these Authorization headers.
func asked(t *testing.T, headers ...string) context.Context {
	t.Helper()
	r := httptest.NewRequest("POST", "/", nil)
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	var ctx context.Context
	transport.Bearer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).ServeHTTP(httptest.NewRecorder(), r)
	return ctx
}

func TestCaller(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []string
		out     func(*store.User)
		code    apierror.Code
	}{
		"good":             {[]string{"Bearer good " + adaID}, nil, ""},
		"any case":         {[]string{"bearer good " + adaID}, nil, ""},
		"none":             {nil, nil, apierror.Unauthenticated},
		"empty":            {[]string{"Bearer "}, nil, apierror.Unauthenticated},
		"another scheme":   {[]string{"Basic good " + adaID}, nil, apierror.Unauthenticated},
		"the token alone":  {[]string{"good"}, nil, apierror.Unauthenticated},
		"two":              {[]string{"Bearer good " + adaID, "Bearer good " + adaID}, nil, apierror.Unauthenticated},
		"expired":          {[]string{"Bearer old"}, nil, apierror.Unauthenticated},
		"forged":           {[]string{"Bearer bad"}, nil, apierror.Unauthenticated},
		"a chat ticket":    {[]string{"Bearer ticket " + adaID}, nil, apierror.Unauthenticated},
		"a service ticket": {[]string{"Bearer service " + adaID}, nil, apierror.Unauthenticated},
		"an ended session": {[]string{"Bearer ended " + adaID}, nil, apierror.Unauthenticated},
		"disabled":         {[]string{"Bearer good " + adaID}, func(u *store.User) { u.Disabled = true }, apierror.Unauthenticated},
		"deleting":         {[]string{"Bearer good " + adaID}, func(u *store.User) { u.Deleting = true }, apierror.Unauthenticated},
	} {
		f := newFakes(t)
		if tt.out != nil {
			tt.out(f.users.User)
		}
		c, err := f.caller(asked(t, tt.headers...), opMe)
		if tt.code == "" && (err != nil || c.User.ID != adaID || c.SessionID != "s1") {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if tt.code != "" && Outward(err).Code != tt.code {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
}

// The roles in a token may be old.
func TestRolesInTheDatabaseDecide(t *testing.T) {
	f := newFakes(t)
	ctx := asked(t, "Bearer good "+adaID)
	if _, err := f.caller(ctx, opUsers); Outward(err).Code != apierror.Forbidden {
		t.Errorf("without the role: %v, want %s", err, apierror.Forbidden)
	}
	f.users.User.Roles = []string{"editor", "admin"}
	if _, err := f.caller(ctx, opUsers); err != nil {
		t.Errorf("with the role: %v", err)
	}
	if _, err := f.caller(context.Background(), opUsers); Outward(err).Code != apierror.Unauthenticated {
		t.Errorf("without a token: %v, want %s", err, apierror.Unauthenticated)
	}
}
