package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cubegate/connectycube"
	"cubegate/resolvers/identity"
)

// errorOf shows an error of the client in one line; the client has masked its secrets.
func errorOf(err error) string { return printable(err.Error(), 300) }

// checkKey checks that ConnectyCube accepts the application and its key.
func (d cubeChecks) checkKey(ctx context.Context) finding {
	if f := d.openClient(); f.State != "" {
		return f
	}
	err := d.cube.Check(ctx)
	wrong, isWrong := errors.AsType[*connectycube.WrongOptionError](err)
	switch {
	case err == nil:
		d.keyAccepted = true
		return found("%s accepts the application and its key", d.cubeName())
	case isWrong:
		setting := settingOf[wrong.Option]
		return failedBy(setting+": "+wrong.Reason, "copy "+setting+" from the application's page in ConnectyCube's dashboard")
	}
	return failedBy("ConnectyCube does not answer: "+errorOf(err), "let this machine reach "+d.cfg.ConnectyCube.APIURL+", or wait until the service is back")
}

func (d cubeChecks) cubeName() string {
	if d.cfg.HasSandbox() {
		return "the sandbox"
	}
	return d.cfg.ConnectyCube.APIURL
}

// needsKey is the finding of a check that ConnectyCube would refuse.
func (d cubeChecks) needsKey() finding {
	switch {
	case d.keyAccepted:
		return finding{}
	case d.cfg.HasSandbox() && !d.serverRuns:
		return skipped(noServer)
	}
	return skipped("the check \"connectycube key\" has failed")
}

// checkV1 checks whether apps can list all users.
func (d cubeChecks) checkV1(ctx context.Context) finding {
	if f := d.needsKey(); f.State != "" {
		return f
	}
	on, err := d.cube.HasV1LookUps(ctx)
	switch {
	case err != nil:
		return failedBy("ConnectyCube does not tell: "+errorOf(err), "run the doctor again")
	case on && d.cfg.HasSandbox():
		return found("the sandbox answers them")
	case on:
		return warningOf("each app can list all users of the application, with their emails, by the old API V1", "in the dashboard, disable \"list users API V1\", unless apps with a JavaScript SDK before 3.7 look users up")
	}
	return found("forbidden in the dashboard; cubegate uses V2")
}

// unknownLogin is a login at ConnectyCube that no user has.
const unknownLogin = "cubegate-doctor-unknown"

// checkDeny checks that ConnectyCube creates no user for unknown credentials. If it does,
// the user is deleted again; its password is always the same, so that a later run deletes
// what an interrupted one has left.
func (d cubeChecks) checkDeny(ctx context.Context) finding {
	if f := d.needsKey(); f.State != "" {
		return f
	}
	if d.decoy == "" {
		return skipped("needs a secret")
	}
	session, err := d.cube.CreateSession(ctx, connectycube.Credentials{Login: unknownLogin, Password: d.decoy})
	switch {
	case errors.Is(err, connectycube.ErrIdentityProvider):
		return found("the identity provider decides about them")
	case errors.Is(err, connectycube.ErrUnavailable):
		return skipped("ConnectyCube does not tell: " + errorOf(err))
	case err != nil:
		return found("refused")
	case session.User.Login != unknownLogin:
		return failedBy(fmt.Sprintf("the login %s opens a session of another user (%d)", unknownLogin, session.UserID), "look at the identity provider's response params in the dashboard")
	}
	if err := d.deleteAccount(ctx, session); err != nil {
		return failedBy("ConnectyCube makes a user for any unknown login, and did not delete that of this check: "+errorOf(err), "delete the user "+unknownLogin+" in the dashboard, and set unknown users to Deny")
	}
	if d.cfg.HasSandbox() {
		return found("the sandbox makes a user for each; set Deny at a real application")
	}
	return warningOf("ConnectyCube makes a user for any unknown login and password", "in the dashboard, set the application to Deny unknown users (auto-create)")
}

// deleteAccount deletes the user of a session, with the session, also if ctx has ended.
func (d cubeChecks) deleteAccount(ctx context.Context, s connectycube.Session) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*d.cfg.ConnectyCube.Timeout)
	defer cancel()
	if err := d.cube.DeleteUser(ctx, s); err != nil {
		return err
	}
	_ = d.cube.EndSession(ctx, s.Token) // ends with the user, or by itself after two hours
	return nil
}

// checkProvider logs the user of the check in with a ticket, which makes ConnectyCube ask
// this server from outside.
func (d cubeChecks) checkProvider(ctx context.Context) finding {
	switch f := d.needsKey(); {
	case f.State != "":
		return f
	case d.probe == "":
		return skipped("needs a secret")
	}
	session, err := d.cube.CreateSession(ctx, connectycube.Credentials{Login: d.probe, Password: d.cfg.ConnectyCube.CIDPPassword})
	if err != nil {
		return d.diagnoseProvider(err)
	}
	u := session.User
	custom := "custom_" + identity.ProbeID
	if u.ExternalID != identity.ProbeID && !strings.EqualFold(u.Email, identity.ProbeEmail) && u.Login != custom {
		_ = d.cube.EndSession(ctx, session.Token)
		return failedBy(fmt.Sprintf("the identity provider's answer leads to another user (%d): the response params name the wrong field", session.UserID), responseCure)
	}
	d.account = &session
	if u.Login == custom && !d.cfg.HasSandbox() { // the sandbox has these response params by itself
		return warningOf("ConnectyCube calls new users custom_ and their ID: the response params have no login", "add \"login\":\"#{user.id}\" to the response params in the dashboard; or leave it, if apps show names, which cubegate sets")
	}
	return found("ConnectyCube asks this server, and takes its answer")
}

// The cures for settings of the identity provider in ConnectyCube's dashboard.
const (
	requestCure  = `in the dashboard, set the request params to {"token":"#{login}","email":"#{email}","password":"#{password}"}`
	responseCure = `in the dashboard, set the response params to {"uid":"#{user.id}"}`
)

func (d cubeChecks) urlCure() string {
	at := d.publicURL()
	if at == "" {
		at = "https://YOUR-SERVER"
	}
	return "in the dashboard, set the API URL of the identity provider to " + at + VerifyPath
}

// diagnoseProvider explains why ConnectyCube opens no session with a ticket. The known
// mistakes are from public threads; see docs/connectycube.md, Identity provider.
func (d cubeChecks) diagnoseProvider(err error) finding {
	answer := apiError(err)
	if answer == nil {
		return d.withoutAnswer(err)
	}
	status := answer.ProviderStatus
	switch {
	case answer.Says("uid is required"):
		return failedBy("the response params name a field that the identity provider's answer does not have", responseCure)
	case answer.Says("cannot be blank"):
		return failedBy("the login was sent without a password, and ConnectyCube wants one beside a token", "set CONNECTYCUBE_CIDP_PASSWORD, and let apps send any password with the token")
	case status != 0:
		return d.ofProvider(status, answer.ProviderCode)
	case answer.Status >= 500 || errors.Is(err, connectycube.ErrIdentityProvider):
		return d.ofSilence()
	case errors.Is(err, connectycube.ErrUnavailable):
		return d.withoutAnswer(err)
	}
	return warningOf("ConnectyCube does not ask this server: the Custom Identity Provider is off", "switch it on in the dashboard, for login_By_token and for apps that log in with a token; "+d.urlCure())
}

// ofProvider explains an answer of the identity provider, which ConnectyCube quotes.
func (d cubeChecks) ofProvider(status int, code string) finding {
	switch {
	case status/100 == 3:
		return failedBy(fmt.Sprintf("the URL of the identity provider redirects (status %d), and ConnectyCube does not follow", status), d.urlCure())
	case status == http.StatusUnsupportedMediaType:
		return failedBy("the identity provider does not take the content type that ConnectyCube sends (status 415)", "let the proxy pass requests on unchanged, with any content type; "+d.urlCure())
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusGone:
		return failedBy(fmt.Sprintf("the identity provider is on, and no cubegate is at its URL (status %d): all logins of apps go there, with their passwords", status), "switch it off in the dashboard, or: "+d.urlCure())
	case status == http.StatusTooManyRequests:
		return failedBy("the server refuses ConnectyCube's request for now (status 429)", "wait a minute and run the doctor again")
	case status == http.StatusUnauthorized && code == "UNAUTHENTICATED":
		return failedBy("the server that ConnectyCube asks does not accept a ticket made with these settings", "give this command and that server the same JWT_SECRET, JWT_KEYS and JWT_ISSUER; "+d.urlCure())
	case status/100 == 4:
		return failedBy(fmt.Sprintf("the token does not arrive where the identity provider looks for it (status %d): the request params or headers use a name that a login does not have", status), requestCure)
	}
	return failedBy(fmt.Sprintf("the identity provider fails (status %d)", status), "look at the log of the server, and of the proxy in front of it")
}

// ofSilence explains that ConnectyCube gets no answer from the identity provider.
func (d cubeChecks) ofSilence() finding {
	if d.publicFault != "" {
		return failedBy("ConnectyCube gets no answer from the identity provider: "+d.publicFault, d.urlCure())
	}
	return failedBy("ConnectyCube gets no answer from the identity provider, and the server answers at "+d.publicURL()+": the URL in the dashboard is another one, such as localhost, or a firewall stops ConnectyCube, or the server fails", d.urlCure())
}

// withoutAnswer explains that ConnectyCube itself does not answer. It answers after the
// identity provider, so a slow one looks the same.
func (d cubeChecks) withoutAnswer(err error) finding {
	return failedBy("ConnectyCube does not answer a login: "+errorOf(err), fmt.Sprintf("if the key was accepted, the identity provider is slow; it must answer within CONNECTYCUBE_TIMEOUT (%s). %s", d.cfg.ConnectyCube.Timeout, d.urlCure()))
}

// checkAdminKey deletes the user of the check with the administration key, so that the check
// changes nothing of the application's own.
func (d cubeChecks) checkAdminKey(ctx context.Context) finding {
	switch {
	case !d.cfg.HasSandbox() && d.cfg.ConnectyCube.AdminKey.IsZero():
		return found("not set: users are deleted at ConnectyCube by a session of their own")
	case !d.keyAccepted:
		return d.needsKey()
	case d.account == nil:
		return skipped("needs the user that the check of the identity provider makes")
	}
	err := d.cube.AdminDeleteUser(ctx, d.account.UserID)
	switch {
	case err == nil:
		d.account = nil
		return found("accepted")
	case errors.Is(err, connectycube.ErrMisconfigured):
		return failedBy("ConnectyCube refuses CONNECTYCUBE_ADMIN_KEY", "copy the key of the administration API from the application's page in the dashboard")
	}
	return failedBy("the administration API fails: "+errorOf(err), "run the doctor again")
}

// cleanUp deletes the user of the check at ConnectyCube, if that has not happened.
func (d cubeChecks) cleanUp(ctx context.Context) finding {
	if d.account == nil {
		return found("nothing is left at ConnectyCube")
	}
	var err error
	for range 3 { // deleting is idempotent
		if err = d.deleteAccount(ctx, *d.account); err == nil {
			d.account = nil
			return found("nothing is left at ConnectyCube")
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return warningOf(fmt.Sprintf("the user of this check (%d) is left at ConnectyCube: %s", d.account.UserID, errorOf(err)), "run the doctor again; it finds the same user and deletes it")
}
