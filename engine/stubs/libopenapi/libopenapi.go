// Package libopenapi stands in for github.com/pb33f/libopenapi, the reader of OpenAPI documents, which is a quarter of
// all work of building the Pulumi CLI and which only `pulumi cloud api` and `pulumi insights` use, commands of Pulumi
// Cloud's own API. It has the names that those commands need to compile, reads no document, and says so.
// docs/decisions/139-the-built-cli-reads-no-openapi.md.
package libopenapi

import (
	"errors"

	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

var errNoReader = errors.New("this Pulumi was built without a reader of OpenAPI documents; for this command install " +
	"Pulumi itself (https://www.pulumi.com/docs/install/)")

// Document is an OpenAPI document; there is never one.
type Document struct{}

// DocumentModel is what a document says.
type DocumentModel struct{ Model v3.Document }

// NewDocument refuses.
func NewDocument([]byte) (*Document, error) { return nil, errNoReader }

// BuildV3Model refuses.
func (*Document) BuildV3Model() (*DocumentModel, error) { return nil, errNoReader }
