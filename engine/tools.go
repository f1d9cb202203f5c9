//go:build tools

// Package engine pins the Pulumi CLI as a Go module, so that a machine
// without an installed Pulumi can build exactly this version.
package engine

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
