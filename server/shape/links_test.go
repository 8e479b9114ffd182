package shape

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fencedBlock = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	codeSpan    = regexp.MustCompile("`[^`\n]*`")
	inlineLink  = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	refLink     = regexp.MustCompile(`\[[^\]]*\]\[([^\]]+)\]`)
	refTarget   = regexp.MustCompile(`(?m)^\[([^\]]+)\]: (\S+)$`)
	heading     = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// prose returns a page without code.
func prose(text string) string {
	return codeSpan.ReplaceAllString(fencedBlock.ReplaceAllString(text, ""), "")
}

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(text string) map[string]bool {
	list := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fencedBlock.ReplaceAllString(text, ""), -1) {
		title := inlineLink.ReplaceAllString(m[1], "]")
		slug := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
		anchor := slug
		for n := 1; list[anchor]; n++ {
			anchor = fmt.Sprintf("%s-%d", slug, n)
		}
		list[anchor] = true
	}
	return list
}

// brokenLinks returns the links of a page that lead nowhere. The pages are by their paths
// from the folder at, which also contains the other files.
func brokenLinks(at, page string, pages map[string]string) (broken []string, seen int) {
	text := prose(pages[page])
	targets := map[string]string{}
	for _, m := range refTarget.FindAllStringSubmatch(text, -1) {
		targets[m[1]] = m[2]
	}
	var links []string
	for _, m := range inlineLink.FindAllStringSubmatch(text, -1) {
		links = append(links, m[1])
	}
	for _, m := range refLink.FindAllStringSubmatch(text, -1) {
		if targets[m[1]] == "" {
			broken = append(broken, m[0])
		}
		links = append(links, targets[m[1]])
	}
	for _, link := range links {
		if link == "" || strings.HasPrefix(link, "https://") {
			continue
		}
		seen++
		file, anchor, hasAnchor := strings.Cut(link, "#")
		target := page
		if file != "" {
			target = path.Join(path.Dir(page), file)
		}
		_, err := os.Stat(filepath.Join(at, target))
		if _, isPage := pages[target]; isPage {
			err = nil
		}
		if err != nil || hasAnchor && !anchors(pages[target])[anchor] {
			broken = append(broken, link)
		}
	}
	return broken, seen
}

func TestLinksLeadSomewhere(t *testing.T) {
	pages := docsPages(t)
	links := 0
	for page := range pages {
		broken, seen := brokenLinks(root, page, pages)
		links += seen
		for _, link := range broken {
			t.Errorf("%s: broken link %s", page, link)
		}
	}
	if links < 50 {
		t.Errorf("%d links seen", links)
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"README.md":    "# T\n\n[a](docs/a.md) [b](docs/a.md#the-end-of-it) [c](docs/a.md#none) [d](docs/none.md) `[e](none.md)`\n",
		"docs/a.md":    "# A\n\n## The `end` of it!\n\n[up](../README.md) [here](#a) [nowhere](#b) [x][y] [z][w]\n\n[y]: https://example.org\n",
		"docs/code.md": "# C\n\n```sh\n[f](none.md)\n```\n",
	}
	for page, want := range map[string]string{"README.md": "docs/a.md#none docs/none.md", "docs/a.md": "[z][w] #b", "docs/code.md": ""} {
		broken, _ := brokenLinks(t.TempDir(), page, pages)
		if got := strings.Join(broken, " "); got != want {
			t.Errorf("%s: broken links %q, want %q", page, got, want)
		}
	}
}

// Comments and messages name pages in docs/ that exist, and sections that they have.
func TestCitedPagesExist(t *testing.T) {
	t.Parallel()
	cited := regexp.MustCompile(`docs/[\w/-]+\.md`)
	seen := 0
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); base == ".git" || base == "node_modules" || base == "out" || base == "data" || base == "assets" {
				return filepath.SkipDir
			}
			return nil
		}
		own := strings.TrimPrefix(filepath.ToSlash(name), root+"/")
		if !entry.Type().IsRegular() || strings.HasPrefix(own, "server/shape/") || strings.HasSuffix(own, ".md") {
			return nil
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, page := range cited.FindAllString(string(raw), -1) {
			seen++
			if _, err := os.Stat(filepath.Join(root, page)); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s names %s, which does not exist", own, page)
			}
		}
		return nil
	})
	if err != nil || seen < 20 {
		t.Errorf("%d citations seen; %v", seen, err)
	}
}
