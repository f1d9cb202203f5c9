// Package v3 has the names of the original's, of which there is never a value.
package v3

import (
	"github.com/pb33f/libopenapi/datamodel/high/base"
	"github.com/pb33f/libopenapi/orderedmap"
	"go.yaml.in/yaml/v4"
)

// Document is what an OpenAPI document says.
type Document struct {
	Info       *base.Info
	Components *Components
	Paths      *Paths
}

// Components are what it names.
type Components struct {
	Schemas *orderedmap.Map[string, *base.SchemaProxy]
}

// Paths are its paths.
type Paths struct {
	PathItems *orderedmap.Map[string, *PathItem]
}

// PathItem is one path.
type PathItem struct {
	Get, Post, Put, Delete, Patch, Head *Operation
}

// Operation is what one method of a path does.
type Operation struct {
	Tags                              []string
	OperationId, Summary, Description string //nolint:revive // the original's name
	Parameters                        []*Parameter
	RequestBody                       *RequestBody
	Responses                         *Responses
	Deprecated                        *bool
	Extensions                        *orderedmap.Map[string, *yaml.Node]
}

// Parameter of an operation.
type Parameter struct {
	Name, In, Description string
	Required              *bool
	Schema                *base.SchemaProxy
}

// RequestBody of an operation.
type RequestBody struct {
	Content *orderedmap.Map[string, *MediaType]
}

// MediaType is a body in one format.
type MediaType struct {
	Schema *base.SchemaProxy
}

// Responses of an operation.
type Responses struct {
	Codes   *orderedmap.Map[string, *Response]
	Default *Response
}

// Response is one of them.
type Response struct {
	Description string
	Content     *orderedmap.Map[string, *MediaType]
}
