package connectycube

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// AdminDeleteUser deletes any user by the administration API. It returns
// ErrNotFound for none, and ErrMisconfigured when the key is missing or wrong.
func (c *Client) AdminDeleteUser(ctx context.Context, userID int64) error {
	const doing = "deleting a user as administrator"
	if c.adminKey == "" || userID <= 0 {
		return fmt.Errorf("%s: %w: an administration key and a user are needed", doing, ErrMisconfigured)
	}
	_, err := c.do(ctx, call{doing: doing, method: http.MethodDelete, path: "/admin/user/" + strconv.FormatInt(userID, 10), admin: true, as: asAdmin}, nil)
	return err
}
