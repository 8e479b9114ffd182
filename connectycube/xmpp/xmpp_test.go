package xmpp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cubegate/connectycube/xmpp"
)

func parseOne(t *testing.T, frame string) xmpp.Element {
	t.Helper()
	all, err := xmpp.Parse(frame, xmpp.Limits{})
	if err != nil || len(all) != 1 {
		t.Fatalf("Parse(%q) = %d elements, %v", frame, len(all), err)
	}
	return all[0]
}

func TestParseResolvesNamespaces(t *testing.T) {
	tests := []struct {
		name, frame, space string
	}{
		{"none is the client's", `<message/>`, xmpp.NSClient},
		{"default", `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`, xmpp.NSFraming},
		{"prefix", `<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>`, xmpp.NSStreams},
		{"undeclared is the client's", `<message xmlns=""/>`, xmpp.NSClient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if e := parseOne(t, tt.frame); e.Space != tt.space {
				t.Errorf("namespace %q, want %q", e.Space, tt.space)
			}
		})
	}
}

func TestParseKeepsChildrenAndScopes(t *testing.T) {
	e := parseOne(t, `<message id="1" xml:lang="en"><body>a &lt;b&gt; &#x1F44D; &amp;amp; <![CDATA[<c>]]></body>`+
		`<x xmlns="urn:x" xmlns:y="urn:y"><y:z y:k="v"/><w/></x><subject/></message>`)
	want := xmpp.Element{Space: xmpp.NSClient, Name: "message",
		Attrs: []xmpp.Attr{{Name: "id", Value: "1"}, {Space: "http://www.w3.org/XML/1998/namespace", Name: "lang", Value: "en"}},
		Children: []xmpp.Element{
			xmpp.New(xmpp.NSClient, "body").Saying("a <b> 👍 &amp; <c>"),
			xmpp.New("urn:x", "x").With(
				xmpp.Element{Space: "urn:y", Name: "z", Attrs: []xmpp.Attr{{Space: "urn:y", Name: "k", Value: "v"}}},
				xmpp.New("urn:x", "w")),
			xmpp.New(xmpp.NSClient, "subject"),
		}}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
}

func TestParseReadsWhiteSpaceAsXMLDoes(t *testing.T) {
	e := parseOne(t, "<a b='1\r\n2\t3\r4\n5&#xA;6'>1\r\n2\r3\n<![CDATA[4\r\n5]]>&#xD;</a>")
	if e.Attr("b") != "1 2 3 4 5\n6" || e.Text != "1\n2\n3\n4\n5\r" {
		t.Errorf("got %q and %q", e.Attr("b"), e.Text)
	}
}

func TestParseTakesSeveralStanzasAndBlankFrames(t *testing.T) {
	for frame, want := range map[string]int{"": 0, " \n": 0, "<a/><b/>": 2, " <a></a> ": 1} {
		if all, err := xmpp.Parse(frame, xmpp.Limits{}); err != nil || len(all) != want {
			t.Errorf("Parse(%q) = %d elements, %v; want %d", frame, len(all), err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name, frame string
		want        error
	}{
		{"text outside", `x<a/>`, xmpp.ErrMalformed},
		{"no end", `<a>`, xmpp.ErrMalformed},
		{"end of another", `<a></b>`, xmpp.ErrMalformed},
		{"end of a longer name", `<a></ab>`, xmpp.ErrMalformed},
		{"half a tag", `<a b="c"`, xmpp.ErrMalformed},
		{"no quotes", `<a b=c/>`, xmpp.ErrMalformed},
		{"no space between", `<a b="1"c="2"/>`, xmpp.ErrMalformed},
		{"attribute twice", `<a b="1" b="2"/>`, xmpp.ErrMalformed},
		{"attribute twice by namespace", `<a xmlns:x="u" xmlns:y="u" x:b="1" y:b="2"/>`, xmpp.ErrMalformed},
		{"< in a value", `<a b="<"/>`, xmpp.ErrMalformed},
		{"unknown prefix", `<x:a/>`, xmpp.ErrMalformed},
		{"two prefixes", `<x:y:a xmlns:x="u"/>`, xmpp.ErrMalformed},
		{"digit first", `<1/>`, xmpp.ErrMalformed},
		{"]]> in text", `<a>]]></a>`, xmpp.ErrMalformed},
		{"zero", `<a>&#0;</a>`, xmpp.ErrMalformed},
		{"zero itself", "<a>\x00</a>", xmpp.ErrMalformed},
		{"half a surrogate", `<a>&#xD800;</a>`, xmpp.ErrMalformed},
		{"no UTF-8", "<a>\xff</a>", xmpp.ErrMalformed},
		{"& alone", `<a>&</a>`, xmpp.ErrMalformed},
		{"xml as default", `<a xmlns="http://www.w3.org/XML/1998/namespace"/>`, xmpp.ErrMalformed},
		{"instruction", `<?xml version="1.0"?><a/>`, xmpp.ErrRestricted},
		{"instruction inside", `<a><?x?></a>`, xmpp.ErrRestricted},
		{"comment", `<a><!-- --></a>`, xmpp.ErrRestricted},
		{"document type", `<!DOCTYPE a [<!ENTITY b "c">]><a/>`, xmpp.ErrRestricted},
		{"entity", `<a>&nbsp;</a>`, xmpp.ErrRestricted},
		{"too deep", strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33), xmpp.ErrTooLarge},
		{"too many elements", strings.Repeat("<a/>", 1001), xmpp.ErrTooLarge},
		{"too many attributes", `<a` + manyAttrs(65) + `/>`, xmpp.ErrTooLarge},
		{"too long", `<a>` + strings.Repeat("x", 64<<10) + `</a>`, xmpp.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if all, err := xmpp.Parse(tt.frame, xmpp.Limits{}); !errors.Is(err, tt.want) {
				t.Errorf("%d elements, error %v, want %v", len(all), err, tt.want)
			}
		})
	}
}

func manyAttrs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strings.Repeat("b", i) + `=""`)
	}
	return b.String()
}

func TestParseTakesWhatIsJustSmallEnough(t *testing.T) {
	for _, frame := range []string{
		strings.Repeat("<a>", 32) + strings.Repeat("</a>", 32),
		strings.Repeat("<a/>", 1000),
		`<a` + manyAttrs(64) + `/>`,
		`<a>` + strings.Repeat("x", 64<<10-7) + `</a>`,
	} {
		if _, err := xmpp.Parse(frame, xmpp.Limits{}); err != nil {
			t.Errorf("%.20s…: %v", frame, err)
		}
	}
}

func TestAppendWritesWhatClientsExpect(t *testing.T) {
	tests := []struct {
		name string
		e    xmpp.Element
		want string
	}{
		{"the namespace is always declared", xmpp.New("", "presence"), `<presence xmlns="jabber:client"/>`},
		{"children inherit", xmpp.New(xmpp.NSClient, "message", "id", "1").With(xmpp.New("", "body").Saying("<hi>")),
			`<message xmlns="jabber:client" id="1"><body>&lt;hi&gt;</body></message>`},
		{"the stream's has its prefix", xmpp.New(xmpp.NSStreams, "features").With(xmpp.New(xmpp.NSBind, "bind")),
			`<stream:features xmlns:stream="http://etherx.jabber.org/streams"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></stream:features>`},
		{"a child goes back", xmpp.New("urn:x", "x").With(xmpp.New(xmpp.NSClient, "y").With(xmpp.New("urn:x", "z"))),
			`<x xmlns="urn:x"><y xmlns="jabber:client"><z xmlns="urn:x"/></y></x>`},
		{"white space survives", xmpp.New("u", "a", "b", "1\n\t\"2").Saying("\r\n"),
			`<a xmlns="u" b="1&#xA;&#x9;&quot;2">&#xD;` + "\n</a>"},
		{"a character that XML forbids is replaced", xmpp.New("u", "a").Saying("\x00\xff"), "<a xmlns=\"u\">\uFFFD\uFFFD</a>"},
		{"of two attributes the first", xmpp.New("u", "a", "b", "1", "b", "2"), `<a xmlns="u" b="1"/>`},
		{"an invalid name is left out", xmpp.New("u", "a", "b c", "1", "xmlns", "2").With(xmpp.New("", "my key")), `<a xmlns="u"></a>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.e.String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSetLeavesCopiesAlone(t *testing.T) {
	a := xmpp.New("", "message", "from", "x", "to", "y")
	b, c, d := a, a, a
	b.Set("from", "z")
	c.Set("id", "1")
	d.Set("from", "")
	if got := a.String(); got != `<message xmlns="jabber:client" from="x" to="y"/>` {
		t.Errorf("the original became %s", got)
	}
	if b.Attr("from") != "z" || c.Attr("id") != "1" || d.Attr("from") != "" || d.Attr("to") != "y" {
		t.Errorf("%v %v %v", b, c, d)
	}
}

func TestCloneIsTheSameAndApart(t *testing.T) {
	e := parseOne(t, `<a b="c" xml:lang="en">d<e f="g"/></a>`)
	copied := e.Clone()
	if diff := cmp.Diff(e, copied); diff != "" {
		t.Error(diff)
	}
	copied.Attrs[0].Value, copied.Children[0].Attrs[0].Value = "x", "x"
	if e.Attr("b") != "c" || e.Children[0].Attr("f") != "g" {
		t.Errorf("the original became %s", e.String())
	}
}

func TestParseJID(t *testing.T) {
	tests := []struct {
		in   string
		want xmpp.JID
	}{
		{"1-2@Chat.example.test/1571-sandbox-7", xmpp.JID{Local: "1-2", Domain: "chat.example.test", Resource: "1571-sandbox-7"}},
		{"chat.example.test", xmpp.JID{Domain: "chat.example.test"}},
		{"muc.example.test/34", xmpp.JID{Domain: "muc.example.test", Resource: "34"}},
		{"a@b/c@d/e", xmpp.JID{Local: "a", Domain: "b", Resource: "c@d/e"}},
	}
	for _, tt := range tests {
		if got, err := xmpp.ParseJID(tt.in); err != nil || got != tt.want {
			t.Errorf("ParseJID(%q) = %+v, %v", tt.in, got, err)
		}
	}
	for _, bad := range []string{"", "@b", "a@", "a@b/", "a@b@c", "a b@c", "a@b\x00", strings.Repeat("a", 1024) + "@b", "a@\xff"} {
		if got, err := xmpp.ParseJID(bad); !errors.Is(err, xmpp.ErrBadJID) {
			t.Errorf("ParseJID(%q) = %+v, %v", bad, got, err)
		}
	}
}

// FuzzParse compares Parse with Append: Parse reads what Append writes for a frame
// as the same elements.
//
//	go test -run '^$' -fuzz '^FuzzParse$' -fuzztime 2m ./connectycube/xmpp
//
// testdata/fuzz holds the findings of earlier runs.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`<open version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="127.0.0.1"/>`,
		`<message xmlns='jabber:client' type="chat"><body>a &lt; b &#xD;</body><extraParams><k>v</k></extraParams></message>`,
		`<stream:error xmlns:stream="http://etherx.jabber.org/streams"><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`,
		`<a xml:lang="en" xmlns:b="c" b:d='"'><b:e>x<![CDATA[<]]>y</b:e> </a><xml:f/>`,
		`<é·><!-- --></é·>`,
	} {
		f.Add(seed)
	}
	wide := xmpp.Limits{Bytes: 1 << 30, Depth: 1 << 30, Elements: 1 << 30, Attrs: 1 << 30}
	f.Fuzz(func(t *testing.T, frame string) {
		read, err := xmpp.Parse(frame, xmpp.Limits{})
		if err != nil {
			if !errors.Is(err, xmpp.ErrMalformed) && !errors.Is(err, xmpp.ErrRestricted) && !errors.Is(err, xmpp.ErrTooLarge) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		for _, e := range read {
			again, err := xmpp.Parse(e.String(), wide)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q became %q: %v", frame, e.String(), err)
			}
			if diff := cmp.Diff(e, again[0]); diff != "" {
				t.Errorf("%q became %q: %s", frame, e.String(), diff)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	frame := `<message from="101-1001@chat.example.test/1571722472-connectycube-8108733" to="202-1001@chat.example.test" type="chat" id="6b0292135f253b1452000000" xmlns="jabber:client"><body>hi all</body><extraParams xmlns="jabber:client"><save_to_history>1</save_to_history><dialog_id>5c091060e588ce59fdf873d2</dialog_id></extraParams></message>`
	b.ReportAllocs()
	for b.Loop() {
		if _, err := xmpp.Parse(frame, xmpp.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	all, err := xmpp.Parse(`<message from="101-1001@chat.example.test/1571722472-connectycube-8108733" to="202-1001@chat.example.test" type="chat" id="6b0292135f253b1452000000" xmlns="jabber:client"><body>hi all</body><extraParams><save_to_history>1</save_to_history><dialog_id>5c091060e588ce59fdf873d2</dialog_id></extraParams></message>`, xmpp.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = xmpp.Append(buf[:0], &all[0])
	}
}
