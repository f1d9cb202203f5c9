// Package base has the names of the original's, of which there is never a value.
package base

import (
	"github.com/pb33f/libopenapi/orderedmap"
	"go.yaml.in/yaml/v4"
)

// Info is about a document.
type Info struct{ Version string }

// SchemaProxy leads to a schema.
type SchemaProxy struct{}

// Schema leads nowhere.
func (*SchemaProxy) Schema() *Schema { return nil }

// GetReference is empty.
func (*SchemaProxy) GetReference() string { return "" }

// IsReference is false.
func (*SchemaProxy) IsReference() bool { return false }

// DynamicValue is one of two things.
type DynamicValue[A, B any] struct {
	N int
	A A
	B B
}

// IsA says whether it is the first of them.
func (value *DynamicValue[A, B]) IsA() bool { return value.N == 0 }

// Discriminator tells variants apart.
type Discriminator struct {
	PropertyName string
	Mapping      *orderedmap.Map[string, string]
}

// Low is what a schema was read from.
type Low struct{}

// Hash is 0.
func (*Low) Hash() uint64 { return 0 }

// Schema describes a value.
type Schema struct {
	Type                         []string
	Format, Pattern, Description string
	Title                        string
	Required                     []string
	AllOf, OneOf, AnyOf          []*SchemaProxy
	Properties                   *orderedmap.Map[string, *SchemaProxy]
	Items                        *DynamicValue[*SchemaProxy, bool]
	AdditionalProperties         *DynamicValue[*SchemaProxy, bool]
	Discriminator                *Discriminator
	Nullable, ReadOnly           *bool
	MinLength, MaxLength         *int64
	MinItems, MaxItems           *int64
	Minimum, Maximum, MultipleOf *float64
	Default                      *yaml.Node
	Enum                         []*yaml.Node
	Extensions                   *orderedmap.Map[string, *yaml.Node]
}

// GoLow is nothing.
func (*Schema) GoLow() *Low { return nil }

// MarshalJSONInline gives nothing.
func (*Schema) MarshalJSONInline() ([]byte, error) { return nil, nil }
