package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cubegate/resolvers/identity"
	"cubegate/store"

	"github.com/spf13/cobra"
)

func (p process) grantCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:        "grant EMAIL ROLE [--new]",
		Short:      "gives a user a role; admin is the one that the server itself knows",
		Example:    "  cubegate grant jo@example.org admin\n  cubegate grant jo@example.org moderator --new",
		Args:       wantsRole("grant"),
		SuggestFor: []string{"promote", "appoint"},
	}
	isNew := cmd.Flags().Bool("new", false, "permit a role that no user has yet")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.run(cmd.Context(), onStore(roleChange{email: args[0], role: args[1], isNew: *isNew}.grant))
	}
	return cmd
}

func (p process) revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:        "revoke EMAIL ROLE",
		Short:      "takes a role from a user",
		Example:    "  cubegate revoke jo@example.org admin",
		Args:       wantsRole("revoke"),
		SuggestFor: []string{"demote", "ungrant"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(cmd.Context(), onStore(roleChange{email: args[0], role: args[1]}.revoke))
		},
	}
}

// wantsRole is the Args of a command about an email and a role.
func wantsRole(command string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 2 || slices.ContainsFunc(args, isBlank) {
			return fmt.Errorf("want an email and a role, as in: cubegate %s jo@example.org admin", command)
		}
		return nil
	}
}

func isBlank(text string) bool { return strings.TrimSpace(text) == "" }

// roleChange is what a command changes: one role of the user with an email.
type roleChange struct {
	email, role string
	isNew       bool // the role may be one that no user has
}

// grant gives a user the role. The first administrator needs it, because only an
// administrator can appoint others.
func (c roleChange) grant(ctx context.Context, s *commandSetup, stdout io.Writer) error {
	user, err := c.user(ctx, s)
	if err != nil {
		return err
	}
	if err := identity.CheckRole(c.role); err != nil {
		return err
	}
	if err := c.checkKnown(ctx, s); err != nil {
		return err
	}
	if n := len(user.Roles); n >= identity.MaxRoles && !slices.Contains(user.Roles, c.role) {
		return fmt.Errorf("%s has %d roles, and a user may have %d; revoke one first", user.Email, n, identity.MaxRoles)
	}
	if _, err := s.store.Users().ChangeRole(ctx, store.RoleChange{UserID: user.ID, Role: c.role}); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is %s.\n", user.Email, c.role)
	return c.record(ctx, s, user, "granted ")
}

// revoke takes the role from a user.
func (c roleChange) revoke(ctx context.Context, s *commandSetup, stdout io.Writer) error {
	user, err := c.user(ctx, s)
	if err != nil {
		return err
	}
	if !slices.Contains(user.Roles, c.role) {
		return fmt.Errorf("%s is not %s; %s", user.Email, c.role, rolesText(user.Roles))
	}
	if _, err := s.store.Users().ChangeRole(ctx, store.RoleChange{UserID: user.ID, Role: c.role, Remove: true}); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is no longer %s.\n", user.Email, c.role)
	return c.record(ctx, s, user, "revoked ")
}

func rolesText(roles []string) string {
	if len(roles) == 0 {
		return "the user has no roles"
	}
	return "the user's roles: " + strings.Join(roles, ", ")
}

func (c roleChange) user(ctx context.Context, s *commandSetup) (store.User, error) {
	user, err := s.store.Users().ByEmail(ctx, strings.TrimSpace(c.email))
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, fmt.Errorf("no user has the email %s; \"cubegate users\" lists all", c.email)
	}
	return user, err
}

// checkKnown returns an error if no user has the role, because it is then probably
// misspelled. An app that asks for a role gets nothing for another spelling.
func (c roleChange) checkKnown(ctx context.Context, s *commandSetup) error {
	if c.isNew || slices.Contains(identity.OwnRoles(), c.role) {
		return nil
	}
	names, err := s.store.Users().RoleNames(ctx)
	if err != nil || slices.Contains(names, c.role) {
		return err
	}
	known := append(identity.OwnRoles(), names...)
	slices.Sort(known)
	known = slices.Compact(known)
	if similar := mostSimilar(c.role, known); similar != "" {
		return fmt.Errorf("no user has the role %s; did you mean %s? To make a new role, add --new", c.role, similar)
	}
	return fmt.Errorf("no user has the role %s, and the known roles are %s; to make a new role, add --new", c.role, strings.Join(known, ", "))
}

func (c roleChange) record(ctx context.Context, s *commandSetup, user store.User, did string) error {
	return s.store.Audit().Record(ctx, store.Event{Kind: store.AuditRoles, Outcome: store.OutcomeOK, UserID: user.ID, Actor: "command", Detail: did + c.role})
}

func (p process) usersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "users [TEXT] [--limit 100] [--json]",
		Short:   "lists users, all or those whose email begins with a text",
		Example: "  cubegate users jo@",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("unexpected argument %q", args[1])
			}
			return nil
		},
		SuggestFor: []string{"list", "ls"},
	}
	limit := cmd.Flags().Int("limit", 100, "largest `number` of users to list")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *limit < 1 {
			return usageError{fmt.Errorf("--limit is %d, want 1 or more", *limit)}
		}
		text := strings.Join(args, "")
		return p.run(cmd.Context(), onStore(func(ctx context.Context, s *commandSetup, stdout io.Writer) error {
			if *asJSON {
				return eachUser(ctx, s, userList{text, *limit}, func(u listedUser) error { return json.NewEncoder(stdout).Encode(u) })
			}
			return printUsers(ctx, s, userList{text, *limit}, stdout)
		}))
	}
	return cmd
}

// userList selects users.
type userList struct {
	text  string // with which the email begins
	limit int
}

// listedUser is what the command users shows of a user.
type listedUser struct {
	ID       string    `json:"id"`
	Email    string    `json:"email"`
	Name     string    `json:"name"`
	Roles    []string  `json:"roles"`
	Disabled bool      `json:"disabled"`
	Sessions int       `json:"sessions"` // login sessions
	CubeID   int64     `json:"ccUserId"` // 0: no account at ConnectyCube yet
	Created  time.Time `json:"createdAt"`
}

// eachUser calls do for at most limit selected users.
func eachUser(ctx context.Context, s *commandSetup, l userList, do func(listedUser) error) error {
	after, left := "", l.limit
	for {
		page, err := s.store.Users().Page(ctx, store.UserFilter{Text: l.text}, after, min(left+1, store.MaxPage))
		if err != nil {
			return err
		}
		for _, u := range page.Items {
			if left--; left < 0 {
				return nil
			}
			listed := listedUser{u.ID, u.Email, u.FullName(), append([]string{}, u.Roles...), u.Disabled, len(u.Sessions), u.CubeID, u.Created}
			if err := do(listed); err != nil {
				return err
			}
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

// printUsers prints a table. Names are as users typed them, so control characters are
// replaced.
func printUsers(ctx context.Context, s *commandSetup, l userList, stdout io.Writer) error {
	table := tabwriter.NewWriter(stdout, 0, 4, 2, ' ', 0)
	n, limit := 0, l.limit
	l.limit++
	err := eachUser(ctx, s, l, func(u listedUser) error {
		if n++; n > limit {
			return nil
		}
		if n == 1 {
			fmt.Fprintln(table, "EMAIL\tNAME\tROLES\tSESSIONS\tID\tSTATE")
		}
		state := "active"
		switch {
		case u.Disabled:
			state = "disabled"
		case u.CubeID == 0:
			state = "waits for an account at ConnectyCube"
		}
		_, err := fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", printable(u.Email, 60), printable(u.Name, 40), strings.Join(u.Roles, ","), u.Sessions, u.ID, state)
		return err
	})
	if err := errors.Join(err, table.Flush()); err != nil {
		return err
	}
	switch {
	case n == 0 && l.text == "":
		fmt.Fprintln(stdout, "There are no users.")
	case n == 0:
		fmt.Fprintf(stdout, "No user has an email that begins with %s.\n", printable(l.text, 60))
	case n > limit:
		fmt.Fprintf(stdout, "And more: --limit %d lists more.\n", 10*limit)
	}
	return nil
}
