// Package zxcvbn is what the built CLI has in the place of ccojocar/zxcvbn-go: the module that this is a fork of, and that
// the CLI contains anyway. docs/decisions/145-one-list-of-passwords.md.
package zxcvbn

import (
	"github.com/nbutton23/zxcvbn-go"
	"github.com/nbutton23/zxcvbn-go/scoring"
)

// PasswordStrength says how hard a password is to guess.
func PasswordStrength(password string, userInputs []string) scoring.MinEntropyMatch {
	return zxcvbn.PasswordStrength(password, userInputs)
}
