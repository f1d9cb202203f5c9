module github.com/santhosh-tekuri/jsonschema/v5

go 1.15

require whole.example/jsonschema/v5 v5.0.0
