package load

import (
	"slices"
	"sync"
	"time"
)

// Result is what a run has measured.
type Result struct {
	Wall   time.Duration   // from the first request to the last answer
	Took   []time.Duration // of the wanted answers, the shortest first
	Failed int
	First  error // the first failure
}

// Run lets each client send a request again and again for a time. Each waits for its
// answer before the next request, also at the end: no request is left behind.
func Run(clients []*Client, r Request, during time.Duration) Result {
	began := time.Now()
	end := began.Add(during)
	var (
		mu  sync.Mutex
		all Result
		wg  sync.WaitGroup
	)
	for _, c := range clients {
		wg.Go(func() {
			own := c.repeat(r, end)
			mu.Lock()
			defer mu.Unlock()
			all.Took = append(all.Took, own.Took...)
			all.Failed += own.Failed
			if all.First == nil {
				all.First = own.First
			}
		})
	}
	wg.Wait()
	all.Wall = time.Since(began)
	slices.Sort(all.Took)
	return all
}

func (c *Client) repeat(r Request, end time.Time) (own Result) {
	c.Close() // a server may close an idle connection at any time
	for {
		started := time.Now()
		err := c.Send(r)
		switch {
		case err == nil:
			own.Took = append(own.Took, time.Since(started))
		default:
			own.Failed++
			if own.First == nil {
				own.First = err
			}
			time.Sleep(10 * time.Millisecond) // a server that refuses connections gets no flood
		}
		if !time.Now().Before(end) {
			return own
		}
	}
}

// Rate returns the wanted answers a second.
func (r Result) Rate() float64 { return float64(len(r.Took)) / r.Wall.Seconds() }

// Percentile returns a percentile of the times, 0 without answers.
func (r Result) Percentile(percent int) time.Duration {
	if len(r.Took) == 0 {
		return 0
	}
	return r.Took[min(len(r.Took)-1, len(r.Took)*percent/100)]
}
