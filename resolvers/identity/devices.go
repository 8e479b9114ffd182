package identity

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"cubegate/resolvers/apierror"
	"cubegate/store"
	"cubegate/tokens"
)

// DeviceTokenCodec makes and reads device tokens. A device whose token is not valid is
// a stranger, whatever the error of ParseDeviceToken.
type DeviceTokenCodec interface {
	NewDeviceToken(d tokens.KnownDevice) string
	ParseDeviceToken(token, emailKey string) (tokens.KnownDevice, error)
}

// devices knows the devices that have logged in before by their tokens.
type devices struct{ codec DeviceTokenCodec }

// known returns the device that an app says it is, if its token is valid for an email.
func (d devices) known(in *DeviceInput, email string) tokens.KnownDevice {
	if in == nil || in.Token == nil {
		return tokens.KnownDevice{}
	}
	known, err := d.codec.ParseDeviceToken(*in.Token, store.EmailKey(email))
	if err != nil {
		return tokens.KnownDevice{}
	}
	return known
}

// token returns the token of a device that has just logged in. A device that was known
// before stays known.
func (d devices) token(user store.User, session store.Session, before tokens.KnownDevice) string {
	// Each login gives the device a new name: after a success, its budget is new.
	device := tokens.KnownDevice{
		UserID: user.ID, EmailKey: store.EmailKey(user.Email), Device: session.ID,
		Issued: session.Created, Generation: user.DeviceGeneration,
	}
	if before.UserID == user.ID && before.Generation == user.DeviceGeneration {
		device.Issued = time.Now().Add(-tokens.DeviceMatures)
	}
	return d.codec.NewDeviceToken(device)
}

// renewedToken returns the token that a refresh gives: none while the client may have
// one that matures sooner.
func (d devices) renewedToken(user store.User, session store.Session) string {
	if time.Since(session.Created) < tokens.DeviceMatures {
		return ""
	}
	return d.token(user, session, tokens.KnownDevice{})
}

const (
	maxDeviceChars      = 100 // of what an app says about its device
	maxDeviceTokenBytes = 256 // ours have about 140
)

// DeviceInput is DeviceInput of the schema.
type DeviceInput struct {
	ID    *string `json:"id"`
	Name  *string `json:"name"`
	Token *string `json:"token"`
}

// name returns what the owner calls the device, or the program that runs on it.
func (d *DeviceInput) name(client ClientInfo) string {
	if d != nil && d.Name != nil && strings.TrimSpace(*d.Name) != "" {
		return printable(*d.Name)
	}
	if agent := printable(client.UserAgent); agent != "" {
		return agent
	}
	return "unknown device"
}

// id returns the device's udid at ConnectyCube, or "" if the app did not send it.
func (d *DeviceInput) id() string {
	if d == nil || d.ID == nil {
		return ""
	}
	return *d.ID
}

// validate adds what is wrong with the fields.
func (d *DeviceInput) validate(p apierror.FieldErrors) {
	if d == nil {
		return
	}
	for field, value := range map[string]*string{"device.id": d.ID, "device.name": d.Name} {
		if value != nil && len([]rune(*value)) > maxDeviceChars {
			p.Add(field, fmt.Sprintf("must have at most %d characters", maxDeviceChars))
		}
	}
	if d.Token != nil && len(*d.Token) > maxDeviceTokenBytes {
		p.Add("device.token", fmt.Sprintf("must have at most %d characters", maxDeviceTokenBytes))
	}
}

// printable returns the beginning of a text as one line without invisible characters.
func printable(s string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s))
	return strings.TrimSpace(string(runes[:min(len(runes), maxDeviceChars)]))
}
