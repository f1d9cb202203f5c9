// Package bluemonday stands in for github.com/microcosm-cc/bluemonday, which takes HTML apart by policies made anew by
// every command of the Pulumi CLI. The CLI asks for one of them, to take tags out of Markdown that it shows in a terminal.
// docs/decisions/152-code-without-colours.md.
package bluemonday

import "strings"

// Policy is which elements stay: none.
type Policy struct{}

// StrictPolicy lets no element stay.
func StrictPolicy() *Policy { return &Policy{} }

// Sanitize gives what stands outside of tags and comments. A `<` that begins neither is text.
func (*Policy) Sanitize(text string) string {
	var kept strings.Builder
	for {
		before, rest, found := strings.Cut(text, "<")
		kept.WriteString(before)
		if !found {
			return kept.String()
		}
		if !beginsTag(rest) {
			kept.WriteByte('<')
			text = rest
			continue
		}
		end := ">"
		if strings.HasPrefix(rest, "!--") {
			end = "-->"
		}
		_, text, _ = strings.Cut(rest, end)
	}
}

func beginsTag(rest string) bool {
	if rest == "" {
		return false
	}
	first := rest[0] | 0x20
	return first >= 'a' && first <= 'z' || rest[0] == '/' || rest[0] == '!' || rest[0] == '?'
}
