// Package zxcvbn is what the built CLI has in the place of nbutton23/zxcvbn-go, whose lists of words every command unpacked
// for the one that asks. docs/decisions/150-no-list-of-passwords.md.
package zxcvbn

import (
	"math"
	"unicode"
)

// Strength is what `pulumi config set` reads of an answer.
type Strength struct {
	// Entropy in bits.
	Entropy float64
}

// The kinds of characters, and of how many each is one. Outside ASCII it is a guess.
var kinds = []struct {
	holds func(rune) bool
	size  float64
}{
	{func(r rune) bool { return r >= 'a' && r <= 'z' }, 26},
	{func(r rune) bool { return r >= 'A' && r <= 'Z' }, 26},
	{func(r rune) bool { return r >= '0' && r <= '9' }, 10},
	{func(r rune) bool { return r > unicode.MaxASCII }, 100},
}

const others = 33

// PasswordStrength says what a password is worth against somebody who knows its kinds of characters and no word: never less
// than against somebody who knows words, too.
func PasswordStrength(password string, _ []string) Strength {
	length, other := 0, false
	found := make([]bool, len(kinds))
next:
	for _, character := range password {
		length++
		for i, kind := range kinds {
			if kind.holds(character) {
				found[i] = true
				continue next
			}
		}
		other = true
	}
	alphabet := 0.0
	for i, kind := range kinds {
		if found[i] {
			alphabet += kind.size
		}
	}
	if other {
		alphabet += others
	}
	if length == 0 {
		return Strength{}
	}
	return Strength{Entropy: float64(length) * math.Log2(alphabet)}
}
