package tokens

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkRefusal measures what a refusal costs while each of many networks waits with one
// password.
func BenchmarkRefusal(b *testing.B) {
	for _, lanes := range []int{50, 1_000, 10_000} {
		q := newHashQueue(1, time.Duration(lanes)*time.Hour, time.Hour) // room for one in each
		q.free = 0                                                      // a hash that never ends runs
		for i := range lanes {
			q.classes[Strangers].lane([]string{fmt.Sprint(i), ""}).push()
		}
		b.Run(fmt.Sprintf("announced/%d", lanes), func(b *testing.B) {
			for i := range b.N {
				if _, err := q.arrive(network(fmt.Sprint(i % lanes))); err == nil {
					b.Fatal("not refused")
				}
			}
		})
		b.Run(fmt.Sprintf("waiting/%d", lanes), func(b *testing.B) {
			for i := range b.N {
				if err := q.do(b.Context(), network(fmt.Sprint(i%lanes)), func() {}); err == nil {
					b.Fatal("not refused")
				}
			}
		})
	}
}
