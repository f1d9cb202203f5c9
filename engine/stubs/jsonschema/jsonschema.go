// Package jsonschema stands between the Pulumi CLI and santhosh-tekuri/jsonschema: every command of the CLI compiled four
// schemas before it did anything, and asks one of them, for Pulumi.yaml. Here a schema is compiled when something is first
// judged by it, by the very library. docs/decisions/153-a-schema-is-compiled-when-it-is-asked.md.
//
// Written as for Go 1.15, which is what go.mod of the library says: Go takes it for this one's, that has the same name.
package jsonschema

import (
	"io"
	"sync"

	whole "whole.example/jsonschema/v5"
)

// ValidationError is what does not conform, and where.
type ValidationError = whole.ValidationError

// LoadURL reads a schema that no Compiler's own LoadURL knows.
func LoadURL(url string) (io.ReadCloser, error) { return whole.LoadURL(url) }

// Compiler finds the schemas that it is asked to compile.
type Compiler struct {
	// LoadURL reads the schema at an absolute URL.
	LoadURL func(url string) (io.ReadCloser, error)
}

// NewCompiler gives a compiler that has no LoadURL of its own.
func NewCompiler() *Compiler { return &Compiler{} }

// MustCompile gives the schema at `url`. It is compiled, and panics if it cannot be, once something is judged by it.
func (c *Compiler) MustCompile(url string) *Schema {
	return &Schema{compile: func() *whole.Schema {
		compiler := whole.NewCompiler()
		compiler.LoadURL = c.LoadURL
		return compiler.MustCompile(url)
	}}
}

// Schema says what a value may be. Its fields are filled once something was found that does not conform: the CLI reads them
// to say what was probably meant.
type Schema struct {
	Ref                  *Schema
	Properties           map[string]*Schema
	AdditionalProperties interface{}
	Items2020            *Schema

	compile            func() *whole.Schema
	compiled           *whole.Schema
	compiling, filling sync.Once
}

// Validate gives a *ValidationError if a value, as encoding/json decodes it, does not conform.
func (s *Schema) Validate(value interface{}) error {
	s.compiling.Do(func() { s.compiled = s.compile() })
	err := s.compiled.Validate(value)
	if err != nil {
		s.filling.Do(func() { s.fill(s.compiled, map[*whole.Schema]*Schema{s.compiled: s}) })
	}
	return err
}

// fill copies the fields; `made` are those that others refer to, so that a schema may refer to itself.
func (s *Schema) fill(compiled *whole.Schema, made map[*whole.Schema]*Schema) {
	copied := func(one *whole.Schema) *Schema {
		if one == nil {
			return nil
		}
		if known, found := made[one]; found {
			return known
		}
		added := &Schema{}
		made[one] = added
		added.fill(one, made)
		return added
	}
	s.Ref, s.Items2020 = copied(compiled.Ref), copied(compiled.Items2020)
	s.Properties = make(map[string]*Schema, len(compiled.Properties))
	for name, one := range compiled.Properties {
		s.Properties[name] = copied(one)
	}
	s.AdditionalProperties = compiled.AdditionalProperties
	if one, is := compiled.AdditionalProperties.(*whole.Schema); is {
		s.AdditionalProperties = copied(one)
	}
}
