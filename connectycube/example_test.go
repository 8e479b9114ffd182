package connectycube_test

import (
	"context"
	"errors"
	"fmt"

	"cubegate/connectycube"
	"cubegate/connectycube/sandbox"
)

// The sandbox's client reaches the sandbox without a listener. Everything else is
// the same as with the real service.
func Example() {
	cube, err := connectycube.New(connectycube.Options{
		AppID:   sandbox.DefaultAppID,
		AuthKey: sandbox.DefaultAuthKey,
		HTTP:    sandbox.New(sandbox.Options{}).Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	ann := connectycube.NewUser{Email: "ann@example.org", Password: "correct horse", ExternalID: "our-id-1"}
	if _, err := cube.SignUp(ctx, ann); err != nil {
		fmt.Println(err)
		return
	}
	_, err = cube.SignUp(ctx, ann)
	fmt.Println("twice:", errors.Is(err, connectycube.ErrTaken))

	session, err := cube.CreateSession(ctx, connectycube.Credentials{Email: ann.Email, Password: ann.Password})
	fmt.Println("session of", session.User.ExternalID, err)
	// Output:
	// twice: true
	// session of our-id-1 <nil>
}
