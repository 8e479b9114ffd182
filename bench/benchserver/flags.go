package benchserver

import (
	"flag"
	"fmt"
)

// Parse parses the flags of a mode, which takes no other arguments: a measurement of half an
// hour must not begin with a mistake. Unknown flags end the process, as flag.ExitOnError says.
func Parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes flags only, and not %q", flags.Name(), flags.Arg(0))
	}
	return nil
}
