package tokens

import (
	"context"
	"time"
)

// fitMemories are the amounts of memory that Fit tries, in KiB: OWASP's least, which needs
// two passes, and larger ones.
var fitMemories = []uint32{19 << 10, 46 << 10, 64 << 10, 128 << 10, maxMemory}

// usualPassword is a password of usual length.
const usualPassword = "correct horse battery"

// fitPasses is the number of passes from which more memory is better than more passes.
const fitPasses = 4

// Fit returns p with the memory and the passes of argon2id whose hash takes about want on this
// machine, and the time that one took. It never goes below OWASP's least, even if that takes longer.
// It hashes at most two times for each amount of memory, and ends with ctx.
func Fit(ctx context.Context, p Params, want time.Duration) (Params, time.Duration, error) {
	p = p.withDefaults()
	p.Bcrypt = false
	return fit(p, want, func(p Params) (time.Duration, error) { return p.measure(ctx) })
}

// fit is Fit with the function that measures a hash.
func fit(p Params, want time.Duration, measure func(Params) (time.Duration, error)) (Params, time.Duration, error) {
	least := uint32(2)
	for i, memory := range fitMemories {
		p.Memory, p.Iterations = max(memory, 8*uint32(p.Parallelism)), 1
		pass, err := measure(p)
		if err != nil {
			return Params{}, 0, err
		}
		passes := max(least, uint32(want/max(pass, time.Microsecond)))
		least = 1
		if p.Iterations = min(passes, maxIterations); passes <= fitPasses || i == len(fitMemories)-1 {
			break
		}
	}
	took, err := measure(p)
	return p, took, err
}

// measure returns the time that this process takes for one new hash.
func (p Params) measure(ctx context.Context) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	begun := time.Now()
	_, err := thisProcess{}.compute(hashTask{Password: []byte(usualPassword), Params: *p.argon2id(), Bcrypt: p.Bcrypt})
	return time.Since(begun), err
}

// Measure returns the time of one new hash, and how many a second the machine carries at this
// moment. The two hashes that it computes wait for their turns like those of a stranger, but
// Params.Observe does not get them; the errors are those of [Hasher.Hash]. It ends the idle
// processes of Params.Command.
func (h *Hasher) Measure(ctx context.Context) (took time.Duration, perSecond float64, err error) {
	defer h.computer.endIdle()
	for range 2 { // the first one starts a process, or asks the system for memory
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		lane, err := h.queue.enter(ctx, Turn{})
		if err != nil {
			return 0, 0, err
		}
		begun := time.Now()
		_, err = h.create(usualPassword)
		took = time.Since(begun)
		h.queue.leave(lane, took)
		if err != nil {
			return 0, 0, err
		}
	}
	return took, float64(h.queue.slots) / took.Seconds(), nil
}

// The times of hashes before any has been measured: about double of those of a server.
const (
	expectedKiB    = time.Microsecond // argon2id, for a KiB in a pass
	expectedBcrypt = 100 * time.Millisecond
)

// expectedTime returns the time that a new hash takes on a slow server.
func (p Params) expectedTime() time.Duration {
	if p.Bcrypt {
		return expectedBcrypt
	}
	return time.Duration(p.Memory) * time.Duration(p.Iterations) * expectedKiB
}

// AtOnce returns how many hashes with these parameters run at once.
func (p Params) AtOnce() int { return p.concurrent() }
