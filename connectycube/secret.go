package connectycube

import (
	"fmt"
	"log/slog"
)

// The types that hold a secret print without it, whatever the verb, logger or
// encoder. (fmt cannot call these methods for a value in an unexported field of
// another struct: keep such values in local variables.)

// String leaves the secrets out.
func (o Options) String() string {
	return fmt.Sprintf("{BaseURL:%s AppID:%d AuthKey:%s AdminKey:%s Timeout:%s}", o.BaseURL, o.AppID, hide(o.AuthKey), hide(o.AdminKey), o.Timeout)
}

// String leaves the secrets out.
func (c Credentials) String() string {
	return fmt.Sprintf("{Email:%s Login:%s Password:%s}", c.Email, hide(c.Login), hide(c.Password))
}

// String leaves the secrets out.
func (u NewUser) String() string {
	return fmt.Sprintf("{Email:%s Password:%s FullName:%s ExternalID:%s}", u.Email, hide(u.Password), u.FullName, u.ExternalID)
}

// String leaves the secrets out.
func (s Session) String() string {
	return fmt.Sprintf("{Token:%s UserID:%d ExpiresAt:%s}", hide(s.Token), s.UserID, s.ExpiresAt)
}

// String leaves the secrets out.
func (c UserUpdate) String() string {
	return fmt.Sprintf("{Email:%s FullName:%s ExternalID:%s Password:%s OldPassword:%s}", c.Email, c.FullName, c.ExternalID, hide(c.Password), hide(c.OldPassword))
}

// String names the application and never its key.
func (c *Client) String() string {
	return fmt.Sprintf("connectycube client of application %d", c.appID)
}

func hide(secret string) string {
	if secret == "" {
		return ""
	}
	return masked
}

// Format leaves the secrets out, whatever the verb.
func (c UserUpdate) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue leaves the secrets out.
func (c UserUpdate) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Format prints like String for every verb.
func (o Options) Format(f fmt.State, _ rune) { fmt.Fprint(f, o.String()) }

// Format prints like String for every verb.
func (c Credentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// Format prints like String for every verb.
func (u NewUser) Format(f fmt.State, _ rune) { fmt.Fprint(f, u.String()) }

// Format prints like String for every verb.
func (s Session) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// Format prints like String for every verb.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// LogValue logs like String.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

// LogValue logs like String.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// LogValue logs like String.
func (u NewUser) LogValue() slog.Value { return slog.StringValue(u.String()) }

// LogValue logs like String.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.String()) }
