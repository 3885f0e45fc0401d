// Command pulumi-resource-kubernetes serves Pulumi's provider for Kubernetes from its published module.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

// build.sh copies both files from the module.
var (
	//go:embed schema.json
	schema []byte
	//go:embed terraform-mapping.json
	mapping []byte
)

func main() { provider.Serve("kubernetes", version.Version, schema, mapping) }
