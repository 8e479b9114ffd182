package identity

import (
	"strings"
	"testing"
)

func TestValidateName(t *testing.T) {
	good := []string{
		"Ada", "O'Brien", "O\u2019Brien", "D\u02bcAngelo", "Jean-Luc", "Anne Marie", "Jr.", "Dr. No", "3PO", "X Æ A-12", "<b>Bob</b>", "&", "-", "A",
		"Zoë", "Zoe\u0308", "Nguyễn", "Nguye\u0302\u0303n", "Łukasz", "Ŵ͓̈́̓ęı̇rd", "Þór", "Ὀδυσσεύς", "Владимир", "Ђорђе", "შოთა", "Անի",
		"محمد", "\u0639\u0628\u062f\u200c\u0627\u0644\u0644\u0647", "می\u200cخواهم", "אדה", "\u200fאדה", "Ada\u200e", "\u061cعلي", "שָׁלוֹם", "٣",
		"श्री", "क\u094d\u200dष", "ক\u200dষ", "ශ්\u200dරී", "தமிழ்", "ไทย", "မြန်မာ", "ខ្មែរ", "བོད", "አማርኛ", "ᏣᎳᎩ", "ߒߞߏ", "ܐܪܡܝܐ", "ދިވެހި",
		"李", "𠮷野", "葛\U000e0100城", "辻\ufe00", "さくら", "ﾊﾝｶｸ", "한글", "\u1112\u1161\u11ab", "ᠮᠣᠩ\u180bᠭᠣᠯ", "ᠠ\u180eᠠ", "𓂀", "ꯃꯤꯇꯩ",
		"🦀", "👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈", "👍🏽", "🇩🇪", "1\ufe0f\u20e3", "❤\ufe0f", "🧑🏻\u200d🚀 Ada",
		"🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", // Scotland
		"Ada 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
		"\ue000", "\uf8ff", "\U000f0000", // private characters; GB 18030 once put letters of names there
		"\U000323af", "\U0001fafe", // not assigned in the tables of today
		"\u0600", "a\u00adb", "a\u2060b", "Ada\u00a0Lovelace", "Ada\u3000Lovelace",
	}
	bad := map[string][]string{
		"is required":                        {""},
		"must not have control characters":   {"a\x00b", "a\tb", "a\nb", "a\rb", "\x1b[31m", "a\u0085b", "a\u009fb", "a\x7f", "a\x0bb"},
		"must not have line":                 {"a\u2028b", "a\u2029b"},
		"must not have characters that turn": {"\u202eadA", "a\u202ab", "a\u202bb", "a\u202cb", "a\u202db", "a\u2066b", "a\u2067b", "a\u2068b", "a\u2069b", "Ada\u202e"},
		"must not have U+FFFD":               {"a\ufffdb", "\ufffd", "a\ufffeb", "a\uffffb", "a\ufdd0b", "a\ufdefb", "a\U0001fffeb", "a\U0010ffffb", "a\xffb", "\xed\xa0\x80"},
		"must not have tag characters":       {"Ada\U000e0061", "a\U000e0001b", "\U000e0041", "🏴\U000e0067\U000e0062", "🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0041\U000e0042\U000e0043\U000e007f", "🏴" + strings.Repeat("\U000e0061", 7) + "\U000e007f", "🦀\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴\U000e007f"},
		"must have a visible character":      {"\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\u200e\u200f", "\u061c", "\u3164", "\u115f", "\u1160", "\uffa0", "\u17b4", "\u180e", "\u180b", "\ufe0f", "\U000e0100", "\u2800", "\ufffc", "\u2061", "\u2064", "\u206a", "\U0001d159", "\U0001d173", "\U00013441", "\U000e0fff", "\u0301", "\u20dd", "\u200b \u3000 \u2800", "\u1680", "\ufff9"},
		"must have at most 99 characters":    {strings.Repeat("a", 100), strings.Repeat("e\u0301", 50)},
	}
	for _, name := range good {
		if p := validateName(name); p != "" {
			t.Errorf("%+q %s, want it accepted", name, p)
		}
	}
	for want, names := range bad {
		for _, name := range names {
			if p := validateName(name); !strings.HasPrefix(p, want) {
				t.Errorf("%+q: %q, want %q", name, p, want)
			}
		}
	}
}
