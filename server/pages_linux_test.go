package server

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestUnwrittenMappings(t *testing.T) {
	const clean, written, swapped = "Rss: 8 kB\nAnonymous: 0 kB\nSwap: 0 kB\n", "Rss: 8 kB\nAnonymous: 4 kB\nSwap: 0 kB\n", "Rss: 8 kB\nAnonymous: 0 kB\nSwap: 4 kB\n"
	for name, tt := range map[string]struct {
		smaps string
		want  []mapping
	}{
		"code":                       {"00400000-00ec8000 r-xp 00000000 fe:00 1234 /bin/cubegate\n" + clean, []mapping{{0x400000, 0xac8000}}},
		"constants":                  {"00ec8000-01a69000 r--p 00ac8000 fe:00 1234 /bin/cubegate\n" + clean, []mapping{{0xec8000, 0xba1000}}},
		"relocated by the loader":    {"00ec8000-01a69000 r--p 00ac8000 fe:00 1234 /bin/cubegate\n" + written, nil},
		"relocated, and swapped out": {"00ec8000-01a69000 r--p 00ac8000 fe:00 1234 /bin/cubegate\n" + swapped, nil},
		"variables":                  {"01a69000-01b21000 rw-p 01669000 fe:00 1234 /bin/cubegate\n" + clean, nil},
		"another file":               {"7f3265d5c000-7f3265efc000 r-xp 00000000 fe:00 12 /lib/libc.so.6\n" + clean, nil},
		"the database":               {"7f3265d5c000-7f3275d5c000 r--s 00000000 fe:00 99 /data/cubegate.db\n" + clean, nil},
		"no file":                    {"7f3265d5c000-7f3265efc000 r--p 00000000 00:00 0\n" + clean, nil},
		"nonsense":                   {"zz-01 r-xp 00000000 fe:00 1234 /bin/cubegate\n" + clean + "x\n", nil},
		"the written one of two": {"00400000-00ec8000 r-xp 00000000 fe:00 1234 /bin/cubegate\n" + clean +
			"00ec8000-01a69000 r--p 00ac8000 fe:00 1234 /bin/cubegate\n" + written +
			"7ffd0d7f2000-7ffd0d7f4000 r-xp 00000000 00:00 0 [vdso]\n" + written, []mapping{{0x400000, 0xac8000}}},
	} {
		if got := unwrittenMappings(tt.smaps, "/bin/cubegate"); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %x, want %x", name, got, tt.want)
		}
	}
}

// The test itself runs in the pages that it returns.
func TestReturnPagesLeavesLess(t *testing.T) {
	before := residentFilePages(t)
	returnPages()
	if after := residentFilePages(t); after >= before {
		t.Errorf("%d KiB of files are resident after, %d before", after, before)
	}
}

func residentFilePages(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	n, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
	if err != nil {
		t.Skip("this kernel does not count them")
	}
	return n
}
