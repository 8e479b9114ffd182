package server

import (
	_ "embed"
	"io"

	"github.com/spf13/cobra"
)

// licensesText is written by .ci/notices.
//
//go:embed licenses.txt
var licensesText string

// licensesCommand prints the notices that third-party licenses require of a binary.
// It needs no settings.
func (p process) licensesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "licenses",
		Short: "prints the licenses of all third-party code in the program",
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(p.stdout, licensesText)
			return err
		},
	}
}
