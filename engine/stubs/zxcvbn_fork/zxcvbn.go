// Package zxcvbn is what the built CLI has in the place of ccojocar/zxcvbn-go: what it has in the place of the module that
// this one is a fork of. docs/decisions/150-no-list-of-passwords.md.
package zxcvbn

import "github.com/nbutton23/zxcvbn-go"

// PasswordStrength says how hard a password is to guess.
func PasswordStrength(password string, userInputs []string) zxcvbn.Strength {
	return zxcvbn.PasswordStrength(password, userInputs)
}
