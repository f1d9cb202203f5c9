// Package httploader is empty: the library's own tests import it, and `go mod tidy` wants to find what they import.
package httploader
