// Package chroma stands in for github.com/alecthomas/chroma, which colours source code: its lexers and styles were made anew by every
// command of the Pulumi CLI, a fifth of what one costs before it does anything. It has the names that the CLI needs to
// compile, and shows code as it is. docs/decisions/152-code-without-colours.md.
package chroma

// TokenType is a kind of word in source code.
type TokenType int

// Kinds that a style names.
const (
	Text TokenType = iota
	Error
	Comment
	CommentPreproc
	Keyword
	KeywordReserved
	KeywordNamespace
	KeywordType
	Operator
	Punctuation
	Name
	NameBuiltin
	NameTag
	NameAttribute
	NameClass
	NameConstant
	NameDecorator
	NameException
	NameFunction
	NameOther
	Literal
	LiteralNumber
	LiteralDate
	LiteralString
	LiteralStringEscape
	GenericDeleted
	GenericEmph
	GenericInserted
	GenericStrong
	GenericSubheading
	Background
)

// StyleEntries says how words of each kind look.
type StyleEntries map[TokenType]string

// Style is how source code looks; here it has a name and no more.
type Style struct{ Name string }

// MustNewStyle gives a style of this name.
func MustNewStyle(name string, _ StyleEntries) *Style { return &Style{Name: name} }
