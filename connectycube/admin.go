package connectycube

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// AdminDeleteUser deletes any user with the administration API. The error wraps
// ErrNotFound if the user does not exist, and ErrMisconfigured if the key is
// missing or wrong.
func (c *Client) AdminDeleteUser(ctx context.Context, userID int64) error {
	const doing = "deleting a user as an administrator"
	if c.adminKey == "" || userID <= 0 {
		return fmt.Errorf("%s: %w: an administration key and a user are required", doing, ErrMisconfigured)
	}
	_, err := c.do(ctx, call{doing: doing, method: http.MethodDelete, path: "/admin/user/" + strconv.FormatInt(userID, 10), admin: true, as: asAdmin}, nil)
	return err
}
