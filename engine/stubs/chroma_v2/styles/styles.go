// Package styles keeps styles by their names.
package styles

import "github.com/alecthomas/chroma/v2"

// Registry has the styles that were registered.
var Registry = map[string]*chroma.Style{}

// Register adds a style.
func Register(style *chroma.Style) *chroma.Style {
	Registry[style.Name] = style
	return style
}
