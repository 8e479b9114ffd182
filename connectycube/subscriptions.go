package connectycube

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// Subscription is a device that receives pushes.
type Subscription struct {
	ID       int64
	DeviceID string // udid
}

// Subscriptions lists the devices that receive pushes for the session's user.
func (c *Client) Subscriptions(ctx context.Context, s Session) ([]Subscription, error) {
	const doing = "listing push subscriptions"
	if s.Token == "" {
		return nil, fmt.Errorf("%s: %w: a user session is required", doing, ErrRefused)
	}
	var answer subscriptionList
	_, err := c.do(ctx, call{doing: doing, method: http.MethodGet, path: "/subscriptions", token: s.Token, as: asSession}, &answer)
	if err != nil {
		return nil, err
	}
	list := make([]Subscription, len(answer))
	for i, a := range answer {
		list[i] = Subscription{int64(a.Subscription.ID), string(a.Subscription.Device.UDID)}
	}
	return list, nil
}

// DeleteSubscription ends the pushes to one device. A subscription that does not
// exist is no error.
func (c *Client) DeleteSubscription(ctx context.Context, s Session, subscriptionID int64) error {
	const doing = "deleting a push subscription"
	if s.Token == "" || subscriptionID <= 0 {
		return fmt.Errorf("%s: %w: a user session and a subscription are required", doing, ErrRefused)
	}
	_, err := c.do(ctx, call{doing: doing, method: http.MethodDelete, path: "/subscriptions/" + strconv.FormatInt(subscriptionID, 10), token: s.Token, as: asSession}, nil)
	return unlessGone(err)
}

// subscriptionList is the answer [{"subscription":{…}}].
type subscriptionList []struct {
	Subscription struct {
		ID     id `json:"id"`
		Device struct {
			UDID text `json:"udid"`
		} `json:"device"`
	} `json:"subscription"`
}

func (l subscriptionList) usable() bool {
	for _, a := range l {
		if a.Subscription.ID <= 0 {
			return false
		}
	}
	return l != nil
}
