package identity

import (
	"strings"
	"testing"

	"cubegate/resolvers/apierror"
)

func TestRegisterInputBounds(t *testing.T) {
	tests := []struct {
		name  string
		edit  func(*RegisterInput)
		field string // that is wrong; "" = none
	}{
		{"as it is", func(*RegisterInput) {}, ""},
		{"space around the email", func(in *RegisterInput) { in.Email = "\t ada@example.org\n" }, ""},
		{"name of 99 characters", func(in *RegisterInput) { in.FirstName = strings.Repeat("🦀", 99) }, ""},
		{"name of 100", func(in *RegisterInput) { in.FirstName = strings.Repeat("a", 100) }, "firstName"},
		{"name of spaces", func(in *RegisterInput) { in.LastName = "   " }, "lastName"},
		{"name with a line break", func(in *RegisterInput) { in.LastName = "a\nb" }, "lastName"},
		{"name with marks from right to left", func(in *RegisterInput) { in.LastName = "\u200fאדה" }, ""},
		{"password of 5 crabs", func(in *RegisterInput) { in.Password = strings.Repeat("🦀", 5) }, "password"},
		{"password of 6 crabs", func(in *RegisterInput) { in.Password = strings.Repeat("🦀", 6) }, ""},
		{"password of 40", func(in *RegisterInput) { in.Password = strings.Repeat("p", 40) }, ""},
		{"password of 41", func(in *RegisterInput) { in.Password = strings.Repeat("p", 41) }, "password"},
		{"password of 40, each in 3 parts", func(in *RegisterInput) { in.Password = strings.Repeat("\u1112\u1161\u11ab", 40) }, ""},
		{"password of 41, each in 3 parts", func(in *RegisterInput) { in.Password = strings.Repeat("\u1112\u1161\u11ab", 41) }, "password"},
		{"password of 5, each in 2 parts", func(in *RegisterInput) { in.Password = strings.Repeat("e\u0301", 5) }, "password"},
		{"password of 6, each in 2 parts", func(in *RegisterInput) { in.Password = strings.Repeat("e\u0301", 6) }, ""},
		{"password of 20 that grows to 40", func(in *RegisterInput) { in.Password = strings.Repeat("\u0958", 20) }, ""},
		{"password of 21 that grows to 42", func(in *RegisterInput) { in.Password = strings.Repeat("\u0958", 21) }, "password"},
		{"password of joined emoji, which stays as it is", func(in *RegisterInput) { in.Password = "👩\u200d👩\u200d👧e\u0301" }, ""},
		{"password of 10 000", func(in *RegisterInput) { in.Password = strings.Repeat("p", 10000) }, "password"},
		{"password of spaces", func(in *RegisterInput) { in.Password = "        " }, ""},
		{"no password", func(in *RegisterInput) { in.Password = "" }, "password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := ada
			tt.edit(&in)
			got, err := in.validate(SharedPasswordChars, false)
			if tt.field == "" {
				if err != nil || got.Password != in.Password || got.Email != strings.TrimSpace(in.Email) {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if e := outward(err); len(e.Fields) != 1 || e.Fields[tt.field] == "" || e.Code != apierror.BadUserInput {
				t.Errorf("%v, want only %s to be wrong", err, tt.field)
			}
		})
	}
}

func TestLoginInputIsLenient(t *testing.T) {
	for _, in := range []LoginInput{
		{Email: " ada@example.org ", Password: "x"},
		{Email: `"a b"@example.com`, Password: "short"},
		{Email: "a\u200bda@example.com", Password: strings.Repeat("p", 1000)},
		{Email: "ada@example.com", Password: strings.Repeat("\u1112\u1161\u11ab", 256)}, // 2304 bytes, normalized 768
		{Email: "ada@example.com", Password: strings.Repeat("\U0001d160", 256)},         // 1024 bytes, normalized 3072
	} {
		if _, err := in.validate(); err != nil {
			t.Errorf("%+v: %v", in, err)
		}
	}
	for _, in := range []LoginInput{
		{Email: "", Password: "x"}, {Email: "no email", Password: "x"}, {Email: "@x", Password: "x"}, {Email: "x@", Password: "x"},
		{Email: "ada@example.org", Password: ""}, {Email: "ada@example.org", Password: strings.Repeat("p", 1025)}, {Email: strings.Repeat("a", 1024) + "@x", Password: "x"},
		{Email: "ada@example.org", Password: strings.Repeat("\u1112\u1161\u11ab", 342)}, // normalized 1026
		{Email: "ada@example.org", Password: strings.Repeat("e\u0301", 3000)},
	} {
		if _, err := in.validate(); outward(err).Code != apierror.BadUserInput {
			t.Errorf("%.40q accepted: %v", in.Email, err)
		}
	}
}
