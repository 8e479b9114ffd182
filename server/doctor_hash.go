package server

import (
	"context"
	"fmt"
	"time"

	"cubegate/tokens"
)

// hashReport tells how many logins a second the machine carries, and which settings of
// argon2id take the wanted time.
type hashReport struct {
	AtOnce          int      `json:"at_once"`
	LoginsPerSecond float64  `json:"logins_per_second"`
	HashMS          float64  `json:"hash_ms"`
	Wanted          *hashFit `json:"wanted,omitempty"`
}

// hashFit are settings for a wanted time.
type hashFit struct {
	WantedMS        float64 `json:"wanted_ms"`
	HashMS          float64 `json:"hash_ms"` // measured
	Memory          uint32  `json:"PASSWORD_MEMORY"`
	Iterations      uint32  `json:"PASSWORD_ITERATIONS"`
	Parallelism     uint8   `json:"PASSWORD_PARALLELISM"`
	LoginsPerSecond float64 `json:"logins_per_second"`
}

// measureHashes measures the hashes of the settings, and finds settings whose hash takes
// about wanted; 0 means none.
func (d *doctor) measureHashes(ctx context.Context, wanted time.Duration) (hashReport, error) {
	params := hashParams(d.cfg, d.log)
	hasher, err := tokens.NewHasher(params)
	if err != nil {
		return hashReport{}, fmt.Errorf("PASSWORD_*: %w", err)
	}
	took, perSecond, err := hasher.Measure(ctx)
	if err != nil {
		return hashReport{}, err
	}
	report := hashReport{AtOnce: hasher.State().Slots, LoginsPerSecond: perSecond, HashMS: milliseconds(took)}
	if wanted == 0 {
		return report, nil
	}
	fit, took, err := tokens.Fit(ctx, params, wanted)
	if err != nil {
		return hashReport{}, err
	}
	atOnce := fit.AtOnce()
	report.Wanted = &hashFit{
		WantedMS: milliseconds(wanted), HashMS: milliseconds(took), Memory: fit.Memory, Iterations: fit.Iterations, Parallelism: fit.Parallelism,
		LoginsPerSecond: float64(atOnce) / took.Seconds(),
	}
	return report, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
